"""Drift is what is no longer as it was when the version in force was applied."""

from __future__ import annotations

from collections.abc import Iterator

from objectives.figures import flat_name
from study.deploy.admission import device_of
from study.deploy.config.deployment import Deployment
from study.deploy.config.values import assigned
from study.deploy.health.gates import failed_gates, try_gates
from study.deploy.health.probe import send_probe
from study.deploy.health.server_versions import running_versions
from study.deploy.plan import changed
from study.deploy.state import pending
from study.deploy.state.version import Version
from study.deploy.state.versions import Chain
from study.deploy.targets.open_target import target_of
from study.deploy.watch.event import RETUNE, Event, Memory

SLOW_LOOKS = 3  # in a row, before a figure is called off


def drift(deployment: Deployment, memory: Memory) -> Iterator[Event]:
    """Yield an event for each thing that has changed since the version in force was applied."""
    current, target = Chain(deployment.folder).current(), target_of(deployment)
    if current is None:
        return
    for what in changed(target, current):
        yield "unit_changed", {"what": what}
    assignments = (
        ()
        if current.is_own or pending.read(deployment.folder)
        else assigned(current.values, deployment)
    )
    if problems := failed_gates(try_gates(target, deployment, assignments)):
        yield "not_as_applied", {"version": current.number, "what": problems}
    if current.is_own:
        return
    device = device_of(deployment)
    if device is not None and current.driver != device.identity.driver:
        change = f"driver {current.driver} -> {device.identity.driver}"
        yield "drift", {"what": change, "then": RETUNE}
    for package, version in running_versions(deployment).items():
        before = current.versions.get(package)
        if before is not None and before != version:
            yield "drift", {"what": f"{package} {before} -> {version}", "then": RETUNE}
    if device is not None:
        neighbours = {*current.neighbours, *(s.unit for _, s in deployment.ordered())}
        for new in sorted({o.unit or o.command[:80] for o in device.occupants()} - neighbours):
            yield "drift", {"what": f"a new neighbour on the device: {new}", "then": RETUNE}
    yield from slower(deployment, current, memory)


def slower(deployment: Deployment, current: Version, memory: Memory) -> Iterator[Event]:
    """Yield services whose probes were slower than the soak allows, several looks in a row."""
    figures = [
        e
        for e in pending.events(deployment.folder)
        if e.get("event") == "figures" and e["version"] == current.number
    ]
    limits = deployment.thresholds
    for name, service in deployment.services.items():
        then = figures[-1].get(flat_name(name, "p95_ms")) if figures else None
        answer = send_probe(service.probe)
        if not isinstance(then, int | float) or answer is None or answer.latency_ms is None:
            continue
        is_slow = answer.latency_ms > limits.p95_ratio * then + limits.p95_slack_ms
        memory.slow[name] = memory.slow.get(name, 0) + 1 if is_slow else 0
        if memory.slow[name] == SLOW_LOOKS:
            what = (
                f"{name}: probes take {answer.latency_ms:,.0f} ms, "
                f"p95 was {then:,.0f} when it was applied"
            )
            yield "drift", {"what": what, "then": RETUNE}
