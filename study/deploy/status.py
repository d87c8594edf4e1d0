"""The status says what production runs and whether it should; the history says what came before."""

from __future__ import annotations

import time
from collections.abc import Iterator

from study.deploy.config.deployment import Deployment
from study.deploy.config.values import Assignment, assigned
from study.deploy.errors import ProductionDown
from study.deploy.health.gates import failed_gates, try_gates
from study.deploy.plan import changed
from study.deploy.state import pending
from study.deploy.state.versions import Chain
from study.deploy.targets.target import Target


def status_lines(deployment: Deployment, target: Target) -> Iterator[str]:
    """Yield the state in lines.

    Raises:
        ProductionDown: A service does not answer; after the last line.
    """
    current, change = Chain(deployment.folder).current(), pending.read(deployment.folder)
    yield "version in force: " + (
        "none; nothing was ever applied" if current is None else str(current)
    )
    if change is not None:
        yield _change_line(change)
    for line in (*changed(target, current), *target.warnings()):
        yield f"note: {line}"
    assignments: tuple[Assignment, ...] = ()
    if current is not None and change is None:
        is_changed = current.is_own and target.hashes() != dict(current.units)
        assignments = () if is_changed else assigned(current.values, deployment)
    results = try_gates(target, deployment, assignments)
    yield from (str(g) for g in results)
    is_at_work = change is not None and change.is_alive  # a change at work restarts them
    if (problems := failed_gates(results)) and not is_at_work:
        raise ProductionDown(
            f"production is not what it should be: {problems}. Do this: "
            f"`sudo python scripts/promote.py rollback --deployment {deployment.path}`, "
            "or repair the service and run status again"
        )


def _change_line(change: pending.Pending) -> str:
    left = change.until_s - time.time()
    timer = f"the timer rolls it back in {left:.0f} s" if left > 0 else "its timer is over"
    if change.held:
        return (
            f"on trial: version {change.target}; `promote.py commit` keeps it, "
            f"`promote.py rollback` ends it; {timer}"
        )
    if change.is_alive:
        return (
            f"an {change.kind} to version {change.target} is at work (process {change.pid}), "
            f"step: {change.step}"
        )
    died = f"an {change.kind} to version {change.target} died in step: {change.step}"
    return f"{died}; {timer}; `promote.py rollback` does it now"


def history_lines(deployment: Deployment) -> Iterator[str]:
    """Yield the chain of versions, newest first, and the changes that did not last.

    Raises:
        BadInput: The chain does not hold.
    """
    chain = Chain(deployment.folder)
    if not (versions := chain.history()):
        yield f"nothing was ever applied under {chain.folder}"
    for n, version in enumerate(versions):
        yield f"{'*' if n == 0 else ' '}{version}"
    for event in pending.events(deployment.folder):
        if event.get("event") in ("rolled_back", "down"):
            when_and_who = f"{event.get('at')}  {event.get('author')}"
            yield f"      {when_and_who}  {event['event']}: {event.get('why')}"
