"""How every change ends: production is made to agree with the version in force, by whoever comes to it.

The link `current` says which version is in force, and is changed by one rename. `settled` is called at the end of an
apply, after a failed step, by the next command after a kill, and by the dead-man timer.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from objectives.devices.device import Device
from objectives.errors import BadInput, SetupError, StudyError
from study.deploy.admission import opened
from study.deploy.config.deployment import Deployment
from study.deploy.config.values import Assignment, assigned
from study.deploy.errors import ProductionDown, StepFailed
from study.deploy.health.free_memory import wait_for_memory
from study.deploy.health.gates import failures, gates, wait_ready
from study.deploy.state import dead_man_timer, pending
from study.deploy.state.versions import Chain, Version
from study.deploy.targets.env_file import EnvTarget
from study.deploy.targets.systemd_units import Units
from study.deploy.targets.target import Target

Say = Callable[[str], None]


def told(text: str) -> None:
    """Print a line at once; a terminal that has gone must not end a change in its middle."""
    with suppress(OSError, ValueError):
        print(text, flush=True)


def target_of(deployment: Deployment) -> Target:
    """The target that the deployment names."""
    return (
        Units(deployment)
        if deployment.env_file is None
        else EnvTarget(deployment, deployment.env_file)
    )


@dataclass(frozen=True, slots=True)
class Settled:
    """How a change ended: the version that production runs, proven by its gates, and one sentence."""

    version: Version
    told: str


def settled(deployment: Deployment, why: str, say: Say = told, *, is_sure: bool = False) -> Settled:
    """Make production agree with the version in force, or else with the one before the change; then forget the change.

    why: what led here, for the record; is_sure: what runs is the version in force, as its soak has just shown
    raises: ProductionDown where neither answers
    """
    with undisturbed():
        return _settled(deployment, why, say, is_sure=is_sure)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore Ctrl-C and SIGTERM for as long as the block lasts."""
    before = {
        n: signal.signal(n, signal.SIG_IGN) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _settled(deployment: Deployment, why: str, say: Say, *, is_sure: bool) -> Settled:
    chain, target, begun = (
        Chain(deployment.folder),
        target_of(deployment),
        pending.read(deployment.folder),
    )
    current = chain.current()
    if current is None:
        return Settled(_unknown(), "nothing was ever applied")
    versions = [current]
    if begun is not None and begun.source != current.number:
        versions.append(chain.read(begun.source))
    versions.append(
        versions[-1]
    )  # the last one is tried twice before anybody is told that production is down
    failed: list[str] = []
    for version in versions:
        try:
            if version is not current:
                say(f"putting version {version.number} back in force")
                chain.put_in_force(version.number)
            target.take_off()
            trusts = begun is None or (is_sure and version is current)
            restarted = _agree(deployment, target, version, say, trusts=trusts)
            if begun is not None:
                target.start_others(begun.dependents)
            break
        except (StudyError, OSError) as error:
            failed.append(f"version {version.number}: {error}")
    else:
        pending.note(deployment.folder, "down", {"why": why, "failed": failed})
        raise ProductionDown(_down(deployment, failed))
    if begun is not None:
        dead_man_timer.disarm(begun.dead_man)
        pending.path_of(deployment.folder).unlink(missing_ok=True)
        ended = "committed" if version.number == begun.target else "rolled_back"
        more = {
            "why": why,
            "version": version.number,
            "promotion_sha256": begun.promotion_sha256,
            "failed": failed,
        }
        pending.note(deployment.folder, ended, more)
        chain.discard(begun.target)
    how = "restarted" if restarted else "never stopped with it"
    return Settled(
        version, f"production runs version {version.number}, and its probes pass ({how})"
    )


def _unknown() -> Version:
    return Version(-1, {}, {}, {})


def _agree(
    deployment: Deployment, target: Target, version: Version, say: Say, *, trusts: bool
) -> bool:
    """Whether a restart was needed for production to run this version.

    trusts: that the processes carry its values, where they cannot be seen; after a broken change they may carry others

    raises: StepFailed where it does not even then
    """
    wanted = _wanted(deployment, target, version)
    seen = bool(wanted) and all(target.running(a) is not None for a in wanted)
    if (seen or trusts) and not failures(gates(target, deployment, wanted)):
        return False
    say(f"restarting both services on version {version.number}")
    restart(deployment, target, opened(deployment), None, say)
    if said := failures(gates(target, deployment, wanted)):
        raise StepFailed(said)
    return True


def _wanted(deployment: Deployment, target: Target, version: Version) -> Sequence[Assignment]:
    """What its processes must carry; unknown for the units' own configuration once the units have changed."""
    if version.is_own and target.hashes() != dict(version.units):
        return ()
    return assigned(version.values, deployment)


def _down(deployment: Deployment, failed: Sequence[str]) -> str:
    names = [s.unit or name for name, s in deployment.ordered()]
    looks = " && ".join(f"systemctl status --no-pager {n}" for n in names if n.endswith(".service"))
    return (
        f"production is down: {'; '.join(failed)}. Do this: 1. look at `{looks or 'your services'}` and their logs; "
        "2. see who holds the device's memory (nvidia-smi) and end what is not yours to keep; "
        f"3. `sudo python scripts/promote.py rollback --deployment {deployment.path}`, which starts the last known "
        "good version again and says whether it answers"
    )


def restart(
    deployment: Deployment,
    target: Target,
    device: Device | None,
    needed_mib: float | None,
    say: Say,
    step: Say = told,
) -> None:
    """Stop both, wait for the memory, start both in the tuned order, each ready before the next.

    raises: StepFailed
    """
    step(f"stop {' and '.join(reversed([s.unit or n for n, s in deployment.ordered()]))}")
    killed = target.stop()
    if killed:
        say(f"{' and '.join(killed)} would not stop, and was killed")
    step("wait until memory is back")
    if device is None:
        say("not waited for memory: the deployment says `device: none`")
    else:
        say(f"{wait_for_memory(device, needed_mib, deployment.memory_timeout_s):,.0f} MiB are free")
    for name, service in deployment.ordered():
        step(f"start {service.unit or name}")
        target.start(name)
        wait_ready(target, deployment, name)


def needs_root(deployment: Deployment) -> None:
    """raises: SetupError where units are to be changed by anyone but root"""
    if deployment.env_file is None and os.geteuid() != 0:
        raise SetupError(
            "changing system units needs root; run it with sudo (plan, status and history do not)"
        )
    os.umask(0o022)  # the units' users must be able to read what a drop-in names


def recover(deployment: Deployment, say: Say = told) -> None:
    """End what an earlier process began and did not end.

    raises: BadInput where a change is on trial and waits for `commit`
    """
    begun = pending.read(deployment.folder)
    if begun is None:
        return
    if begun.held and begun.boot == pending.boot_id() and time.time() < begun.until_s:
        raise BadInput(
            f"version {begun.target} is on trial; run `promote.py commit` or `promote.py rollback` first"
        )
    say(f"an earlier {begun.kind} did not end (step: {begun.step}); ending it first")
    say(settled(deployment, f"its process ended in step: {begun.step}", say).told)
