"""A promotion is tried in production, watched, and committed; where it fails, it is undone."""

from __future__ import annotations

import time
from collections.abc import Mapping

from objectives.devices.device import Device
from objectives.errors import BadInput
from objectives.figures import flat_name
from study.bench.device_lock import sole_use_of_all
from study.deploy.admission import Admitted, check_newer, device_of
from study.deploy.change import (
    Need,
    Say,
    begin_change,
    first_version,
    print_line,
    put_in_force,
    record_step,
    restart,
)
from study.deploy.config.deployment import Deployment
from study.deploy.config.values import Values, assigned
from study.deploy.errors import RolledBack, cause_of, nothing_changed, why_of
from study.deploy.health.gates import check_gates, try_gates
from study.deploy.health.server_versions import running_versions
from study.deploy.health.soak import Observed, SoakGuard, baseline, soak
from study.deploy.plan import next_values
from study.deploy.recover import needs_root, recover, settled
from study.deploy.state import pending
from study.deploy.state.version import Version
from study.deploy.state.versions import Chain
from study.deploy.targets.open_target import target_of
from study.deploy.targets.target import Target


def apply(
    deployment: Deployment,
    admitted: Admitted,
    *,
    hold: bool = False,
    older: bool = False,
    say: Say = print_line,
) -> None:
    """Try a promotion in production, and commit it when it has proven itself.

    Args:
        hold: Leave the commit to a person.
        older: It may be older than the version in force.

    Raises:
        BadInput: It is refused, and nothing was changed.
        SetupError: Something is missing here, and nothing was changed.
        RolledBack: It failed, and the version before runs.
        ProductionDown: It failed, and the version before does not answer either.
    """
    needs_root(deployment)
    target, device, chain = target_of(deployment), device_of(deployment), Chain(deployment.folder)
    interrupted = pending.read(deployment.folder)
    if interrupted is None:
        target.check()
    with (
        sole_use_of_all(card.identity.uuid for card, _ in _needs(device, admitted)),
        pending.locked(deployment.folder),
    ):
        recover(deployment, say)
        if interrupted is not None:  # it may have left a unit stopped
            target.check()
        chain.history()
        current = chain.current()
        if current is not None and current.promotion_sha256 == admitted.sha256:
            say(f"version {current.number} already is this promotion")
            say(settled(deployment, "applied twice", say).summary)
            return
        check_newer(admitted, current, older=older)
        for line in (*target.warnings(), *admitted.notes):
            say(f"note: {line}")
        say("record: what runs now, and a fresh baseline")
        before = baseline(deployment)
        for name, figures in before.items():
            say(f"baseline {name}: {figures}")
            if figures.failed == figures.probes and figures.probes:
                raise BadInput(
                    f"{name} does not answer its probe now; repair it first: "
                    "its figures are the baseline"
                )
        values = next_values(deployment, current, admitted)
        files = target.files(values)
        try:
            current = current or first_version(deployment, target)
            new = chain.draft(
                _version(deployment, target, device, admitted, values), files, target.like()
            )
            begin_change(deployment, target, "apply", current, new)
        except OSError as error:
            raise nothing_changed(error) from error
        try:
            last = _try(deployment, target, device, admitted, new, files, before, say)
            if hold:
                change = record_step(deployment, "on trial", held=True)
                say(
                    f"version {new.number} is on trial until {_clock(change.until_s)}; "
                    "`promote.py commit` keeps it"
                )
                return
            say("step: commit")
            put_in_force(deployment, target, new)
        except BaseException as error:
            why = why_of(cause := cause_of(error))
            say(f"failed: {why}")
            result = settled(deployment, why, say)
            if result.version.number != new.number:
                raise RolledBack(
                    f"rolled back to version {result.version.number}: {why}; {result.summary}"
                ) from cause
            say(result.summary)
            return
        result = settled(deployment, "the soak passed", say, is_sure=True)
        if result.version.number != new.number:
            raise RolledBack(
                f"rolled back to version {result.version.number} right after the commit; "
                f"{result.summary}"
            )
        figures_ms = {flat_name(name, "p95_ms"): f.p95_ms for name, f in last.items()}
        pending.note(deployment.folder, "figures", {"version": new.number, **figures_ms})
        say(f"committed: {result.summary}")


def _try(
    deployment: Deployment,
    target: Target,
    device: Device | None,
    admitted: Admitted,
    new: Version,
    files: Mapping[str, str],
    before: Observed,
    say: Say,
) -> Observed:
    """Take every step up to the end of the soak, and return the soak's last figures."""

    def now(what: str) -> None:
        say(f"step: {record_step(deployment, what).step}")

    now("write the trial's configuration")
    target.try_on(files)
    restart(deployment, target, _needs(device, admitted), say, now)
    guard = SoakGuard(target, deployment)
    change = pending.read(deployment.folder)
    target.start_others(change.dependents if change else ())
    now("gates on the running processes")
    results = try_gates(target, deployment, assigned(new.values, deployment), admitted.kv_tokens)
    for gate in results:
        say(f"  {gate}")
    check_gates(results)
    now(f"soak: {deployment.thresholds.windows} windows of {deployment.thresholds.window_s:g} s")
    return soak(deployment, guard, before, say)


def _needs(device: Device | None, admitted: Admitted) -> list[Need]:
    """Return the devices that a promotion has services on, and what those take of each."""
    others: list[Need] = [(other.device, other.needed_mib) for other in admitted.others]
    if device is None:
        return others
    needed = None
    if admitted.share is not None:
        needed = admitted.share * device.identity.total_mib + sum(admitted.memory_mib.values())
    return [(device, needed), *others]


def _version(
    deployment: Deployment,
    target: Target,
    device: Device | None,
    admitted: Admitted,
    values: Values,
) -> Version:
    ours = {s.unit for _, s in deployment.ordered()}
    occupants = device.occupants() if device else []
    return Version(
        number=-1,
        values=values,
        units=target.hashes(),
        files={},
        promotion=admitted.path.name,
        promotion_sha256=admitted.sha256,
        promotion_at=admitted.written_at.isoformat(),
        device=device.identity.uuid if device else None,
        driver=device.identity.driver if device else None,
        versions=running_versions(deployment),
        neighbours=tuple(sorted({o.unit or o.command[:80] for o in occupants} - ours)),
    )


def _clock(at_s: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(at_s))
