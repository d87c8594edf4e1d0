"""Every change ends here: production is made to agree with the version in force.

The link `current` says which version is in force, and is changed by one rename. `settled` is called
at the end of an apply, after a failed step, by the next command after a kill, and by the dead-man
timer.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from objectives.errors import BadInput, SetupError, StudyError
from study.deploy.admission import device_of
from study.deploy.change import Say, print_line, restart
from study.deploy.config.deployment import Deployment
from study.deploy.config.values import Assignment, assigned
from study.deploy.errors import ProductionDown, taken_stop
from study.deploy.health.gates import check_gates, failed_gates, try_gates
from study.deploy.state import dead_man_timer, pending
from study.deploy.state.process_id import boot_id
from study.deploy.state.version import Version
from study.deploy.state.versions import Chain
from study.deploy.targets.open_target import target_of
from study.deploy.targets.target import Target


@dataclass(frozen=True, slots=True)
class Settled:
    """A change has settled when gates prove which version runs.

    Args:
        version: The version that runs.
        summary: A sentence for a person.
    """

    version: Version
    summary: str


@contextmanager
def signals_ignored() -> Iterator[None]:
    """Ignore Ctrl-C and SIGTERM for as long as the block lasts.

    Raises:
        KeyboardInterrupt: At its end, where one had come before it.
    """
    stop = taken_stop()
    before = {
        n: signal.signal(n, signal.SIG_IGN) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if stop is not None:
        raise stop


@signals_ignored()
def settled(
    deployment: Deployment,
    why: str,
    say: Say = print_line,
    *,
    is_sure: bool = False,
    is_unread: bool = False,
    died_in: str | None = None,
) -> Settled:
    """Make production agree with the version in force, or else with the one before the change.

    The change is forgotten then.

    Args:
        why: What led here, for the record.
        is_sure: What runs is the version in force, as its soak has just shown.
        is_unread: A change had begun whose record cannot be read, so that anything may run.
        died_in: The step in which the process of the change ended, for the record; None: it did
            not end.

    Raises:
        ProductionDown: Neither version answers.
    """
    chain, target = Chain(deployment.folder), target_of(deployment)
    change = pending.read(deployment.folder)
    current = chain.current()
    if current is None:
        return Settled(Version(-1, {}, {}, {}), "nothing was ever applied")
    versions = [current]
    if change is not None and change.source != current.number:
        versions.append(chain.read(change.source))
    # the last one is tried twice before anybody hears that production is down
    versions.append(versions[-1])
    failed: list[str] = []
    for version in versions:
        try:
            if version is not current:
                say(f"putting version {version.number} back in force")
                chain.put_in_force(version.number)
            target.take_off()
            is_at_rest = change is None and not is_unread
            trusts = is_at_rest or (is_sure and version is current)
            restarted = _agree(deployment, target, version, say, trusts=trusts)
            if change is not None:
                target.start_others(change.dependents)
            break
        except (StudyError, OSError) as error:
            failed.append(f"version {version.number}: {error}")
    else:
        pending.note(deployment.folder, "down", {"why": why, "failed": failed})
        raise ProductionDown(_down(deployment, failed))
    if change is not None:
        dead_man_timer.disarm(change.dead_man)
        try:
            pending.path_of(deployment.folder).unlink(missing_ok=True)
        except OSError as error:
            say(
                f"{error.filename}: it cannot be removed ({error.strerror}): the change still "
                "shows as under way; run `scripts/promote.py rollback` once the disk takes it"
            )
        outcome = "committed" if version.number == change.target else "rolled_back"
        more = {
            "why": why,
            "version": version.number,
            "promotion_sha256": change.promotion_sha256,
            "failed": failed,
            "died_in": died_in,
        }
        pending.note(deployment.folder, outcome, more)
        chain.discard(change.target)
    how = "restarted" if restarted else "never stopped with it"
    return Settled(
        version, f"production runs version {version.number}, and its probes pass ({how})"
    )


def _agree(
    deployment: Deployment, target: Target, version: Version, say: Say, *, trusts: bool
) -> bool:
    """Make production run this version, and return whether a restart was needed.

    Args:
        trusts: The processes carry its values, where they cannot be seen; after a broken change
            they may carry others.

    Raises:
        StepFailed: It does not run even then.
    """
    assignments = _assignments(deployment, target, version)
    is_visible = bool(assignments) and all(target.running(a) is not None for a in assignments)
    if (is_visible or trusts) and not failed_gates(try_gates(target, deployment, assignments)):
        return False
    say(f"restarting all services on version {version.number}")
    device = device_of(deployment)
    restart(deployment, target, [(device, None)] if device is not None else [], say)
    check_gates(try_gates(target, deployment, assignments))
    return True


def _assignments(deployment: Deployment, target: Target, version: Version) -> Sequence[Assignment]:
    """Return what its processes must carry; unknown for version 0 once the units changed."""
    if version.is_own and target.hashes() != dict(version.units):
        return ()
    return assigned(version.values, deployment)


def _down(deployment: Deployment, failed: Sequence[str]) -> str:
    names = [s.unit or name for name, s in deployment.ordered()]
    looks = " && ".join(f"systemctl status --no-pager {n}" for n in names if n.endswith(".service"))
    return (
        f"production is down: {'; '.join(failed)}. Do this: "
        f"1. look at `{looks or 'your services'}` and their logs; "
        "2. see who holds the device's memory (nvidia-smi) and end what is not yours to keep; "
        f"3. `sudo python scripts/promote.py rollback --deployment {deployment.path}`, "
        "which starts the last known good version again and says whether it answers"
    )


def needs_root(deployment: Deployment) -> None:
    """Check that whoever changes system units is root.

    Raises:
        SetupError: They are not root.
    """
    if deployment.env_file is None and os.geteuid() != 0:
        raise SetupError(
            "changing system units needs root; run it with sudo (plan, status and history do not)"
        )
    os.umask(0o022)  # the units' users must be able to read what a drop-in names


def recover(deployment: Deployment, say: Say = print_line) -> None:
    """End what an earlier process began and did not end.

    Raises:
        BadInput: A change is on trial and waits for `commit`.
    """
    change = pending.read(deployment.folder)
    if change is None:
        return
    dead_man_timer.check_same(deployment)
    if change.held and change.boot == boot_id() and time.time() < change.until_s:
        raise BadInput(
            f"version {change.target} is on trial; "
            "run `promote.py commit` or `promote.py rollback` first"
        )
    say(f"an earlier {change.kind} did not end (step: {change.step}); ending it first")
    why = f"its process ended in step: {change.step}"
    say(settled(deployment, why, say, died_in=change.step).summary)
