"""The watch: sees new confirmed promotions and drift of what runs; applies only where the deployment says so."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from objectives.errors import BadInput, StudyError
from objectives.plain_data.atomic import write_atomic
from study.deploy.admission import Admitted, admit, opened
from study.deploy.apply import apply
from study.deploy.config.deployment import NAMES, Deployment
from study.deploy.config.values import assigned
from study.deploy.errors import ProductionDown, RolledBack
from study.deploy.health.gates import failures, gates
from study.deploy.health.probe import ask
from study.deploy.health.server_versions import running_versions
from study.deploy.plan import changed, check_times
from study.deploy.reconcile import needs_root, recover, target_of
from study.deploy.state import pending
from study.deploy.state.versions import Chain, Version
from study.deploy.targets.systemd_units import ETC
from study.promotion.seal import moment, verify
from study.systemd import systemctl, units

UNIT = "gpu-allocation-watch.service"
DAY_S = 86400.0
SLOW_LOOKS = 3  # in a row, before a figure is called off
RETUNE = "propose a re-tune: python scripts/run_study.py SPEC, then scripts/confirm.py"
DIED_IN = "its process ended"


@dataclass(slots=True)
class Memory:
    """What was said already, so that it is said once; how often in a row a service was slow."""

    said: set[str] = field(default_factory=set)
    slow: dict[str, int] = field(default_factory=dict)


def watch(deployment: Deployment, *, once: bool = False) -> None:
    """Look now and every `watch.every_s`; each line on standard output is one JSON object.

    raises: SetupError where the device cannot be opened; other errors are lines, and the watch goes on
    """
    memory = Memory()
    line(
        "started",
        deployment=str(deployment.path),
        auto=deployment.watch.auto,
        hold_days=deployment.watch.hold_days,
    )
    while True:
        try:
            for event, more in look(deployment, memory):
                line(event, **more)
        except StudyError as error:
            line("error", exit_code=error.exit_code, why=str(error))
        if once:
            return
        time.sleep(deployment.watch.every_s)


def line(event: str, **more: object) -> None:
    """One structured log line."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    print(json.dumps({"at": at, "event": event, **more}), file=sys.stdout, flush=True)


Said = tuple[str, Mapping[str, object]]


def look(deployment: Deployment, memory: Memory) -> Iterator[Said]:
    """Everything that one look finds."""
    begun = pending.read(deployment.folder)
    if begun is not None and begun.is_alive:
        return
    if begun is not None and not (begun.held and begun.boot == pending.boot_id()):
        if os.geteuid() != 0 and deployment.env_file is None:
            yield (
                "unfinished",
                {
                    "kind": begun.kind,
                    "step": begun.step,
                    "then": "sudo python scripts/promote.py rollback",
                },
            )
            return
        with pending.locked(deployment.folder):
            recover(deployment, lambda text: line("recovering", what=text))
    for event, more in (*drift(deployment, memory), *news(deployment)):
        key = json.dumps([event, more], sort_keys=True, default=str)
        if key not in memory.said:
            memory.said.add(key)
            yield event, more


def drift(deployment: Deployment, memory: Memory) -> Iterator[Said]:
    """What is no longer as it was when the version in force was applied."""
    current, target = Chain(deployment.folder).current(), target_of(deployment)
    if current is None:
        return
    for what in changed(target, current):
        yield "unit_changed", {"what": what}
    wanted = (
        ()
        if current.is_own or pending.read(deployment.folder)
        else assigned(current.values, deployment)
    )
    if said := failures(gates(target, deployment, wanted)):
        yield "not_as_applied", {"version": current.number, "what": said}
    if current.is_own:
        return
    device = opened(deployment)
    if device is not None and current.driver != device.identity.driver:
        yield (
            "drift",
            {"what": f"driver {current.driver} -> {device.identity.driver}", "then": RETUNE},
        )
    for package, version in running_versions(deployment).items():
        before = current.versions.get(package)
        if before is not None and before != version:
            yield "drift", {"what": f"{package} {before} -> {version}", "then": RETUNE}
    if device is not None:
        known = {*current.neighbours, *(s.unit for _, s in deployment.ordered())}
        for new in sorted({o.unit or o.command[:80] for o in device.occupants()} - known):
            yield "drift", {"what": f"a new neighbour on the device: {new}", "then": RETUNE}
    yield from slower(deployment, current, memory)


def slower(deployment: Deployment, current: Version, memory: Memory) -> Iterator[Said]:
    """Services whose probes were slower than the soak allows, several looks in a row."""
    told = [
        e
        for e in pending.events(deployment.folder)
        if e.get("event") == "figures" and e["version"] == current.number
    ]
    limits = deployment.thresholds
    for name in NAMES:
        then = told[-1].get(f"{name}_p95_ms") if told else None
        answer = ask(deployment.service(name).probe)
        if not isinstance(then, int | float) or answer is None or answer.latency_ms is None:
            continue
        is_slow = answer.latency_ms > limits.p95_ratio * then + limits.p95_slack_ms
        memory.slow[name] = memory.slow.get(name, 0) + 1 if is_slow else 0
        if memory.slow[name] == SLOW_LOOKS:
            what = f"{name}: probes take {answer.latency_ms:,.0f} ms, p95 was {then:,.0f} when it was applied"
            yield "drift", {"what": what, "then": RETUNE}


def news(deployment: Deployment) -> Iterator[Said]:
    """Confirmed promotions that production has not seen: applied where that is allowed, else due for review."""
    folder, chain = Path(deployment.watch.promotions), Chain(deployment.folder)
    if not folder.is_absolute():
        folder = deployment.path.parent / folder
    tried = {
        str(e.get("promotion_sha256")) for e in pending.events(deployment.folder) if _is_verdict(e)
    }
    tried |= {str(v.promotion_sha256) for v in chain.history()}
    found: list[Admitted] = []
    doubts: dict[str, datetime] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            data = verify(path)
            if data.get("status") in ("rejected", "inconclusive"):
                doubts[_key(data)] = max(doubts.get(_key(data), _at(data)), _at(data))
            elif data.get("status") == "confirmed" and str(data["sha256"]) not in tried:
                found.append(admit(path, deployment, opened(deployment)))
        except BadInput as error:
            yield "refused", {"promotion": path.name, "why": str(error)}
    if not found:
        return
    newest = max(found, key=lambda a: a.written_at)
    for other in found:
        if other is not newest:
            yield "superseded", {"promotion": other.path.name, "by": newest.path.name}
    doubt = doubts.get(_key(verify(newest.path)))
    if doubt is not None and doubt > newest.written_at:
        yield (
            "contradicted",
            {
                "promotion": newest.path.name,
                "why": "a later confirmation of the same values failed",
            },
        )
        return
    due_s = newest.written_at.timestamp() + deployment.watch.hold_days * DAY_S
    if not deployment.watch.auto:
        then = f"sudo python scripts/promote.py apply {newest.path} --deployment {deployment.path}"
        yield "review_due", {"promotion": newest.path.name, "then": then}
    elif time.time() < due_s:
        yield (
            "holding",
            {
                "promotion": newest.path.name,
                "until": datetime.fromtimestamp(due_s, UTC).isoformat(),
            },
        )
    else:
        yield from applied(deployment, newest)


def applied(deployment: Deployment, admitted: Admitted) -> Iterator[Said]:
    """Apply it, and say how that ended."""
    yield "applying", {"promotion": admitted.path.name}
    try:
        check_times(deployment)
        apply(deployment, admitted, say=lambda text: line("step", what=text))
    except (RolledBack, ProductionDown) as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # the watch itself was told to stop
            raise error.__cause__ from None
        yield ("rolled_back" if isinstance(error, RolledBack) else "down"), {"why": str(error)}
    else:
        yield "applied", {"promotion": admitted.path.name}


def _is_verdict(event: Mapping[str, object]) -> bool:
    """A change that was judged, rather than one that lost its process."""
    return event.get("event") == "rolled_back" and not str(event.get("why")).startswith(DIED_IN)


def _key(data: Mapping[str, object]) -> str:
    return json.dumps(data.get("parameters"), sort_keys=True)


def _at(data: Mapping[str, object]) -> datetime:
    confirmation = data.get("confirmation")
    told = confirmation.get("written_at") if isinstance(confirmation, Mapping) else None
    return moment(told or data.get("written_at")) or datetime.now(
        UTC
    )  # one that does not say when: now


def unit_text(deployment: Deployment) -> str:
    """A complete unit for the watch, with this interpreter and these paths; it needs root only for `auto: true`."""
    root = Path(__file__).resolve().parents[2]
    owner = "" if deployment.watch.auto else "DynamicUser=yes\nProtectHome=read-only\n"
    return (
        "# by scripts/promote.py watch --print-unit\n"
        f"[Unit]\nDescription=Watch of the GPU allocation {deployment.name}\n"
        f"After={' '.join(str(s.unit) for _, s in deployment.ordered() if s.unit)}\n\n"
        f"[Service]\nExecStart={sys.executable} {root / 'scripts/promote.py'} watch --deployment {deployment.path}\n"
        f"WorkingDirectory={root}\nEnvironment=PYTHONPATH={root}\nRestart=always\nRestartSec=60\n{owner}"
        "Nice=10\nCPUQuota=25%\nMemoryMax=1G\n\n[Install]\nWantedBy=multi-user.target\n"
    )


def installed(deployment: Deployment) -> str:
    """Put the unit into /etc, enable and start it; what was done.

    raises: SetupError without root or systemd
    """
    needs_root(deployment)
    if deployment.path.stat().st_uid != 0:
        raise BadInput(
            f"{deployment.path}: a service of root's needs a file of root's; run `sudo chown root {deployment.path}`"
        )
    systemctl.run("systemctl", "show", "--property=Version")  # nothing is written where none runs
    write_atomic(ETC / UNIT, unit_text(deployment), mode=0o644, durable=True)
    units.reload()
    systemctl.run("systemctl", "enable", UNIT)
    systemctl.run("systemctl", "restart", UNIT)
    return f"{ETC / UNIT} runs; read it with `journalctl -u {UNIT} -o cat`"
