"""What production runs, whether it is what the version in force says, and what happened before."""

from __future__ import annotations

import time
from collections.abc import Iterator

from study.deploy.config.deployment import Deployment
from study.deploy.config.values import assigned
from study.deploy.errors import ProductionDown
from study.deploy.health.gates import failures, gates
from study.deploy.plan import changed
from study.deploy.state import pending
from study.deploy.state.versions import Chain
from study.deploy.targets.target import Target


def status(deployment: Deployment, target: Target) -> Iterator[str]:
    """The state in lines.

    raises: ProductionDown at the end where a service does not answer
    """
    current, begun = Chain(deployment.folder).current(), pending.read(deployment.folder)
    yield "version in force: " + (
        "none; nothing was ever applied" if current is None else str(current)
    )
    if begun is not None:
        yield _begun(begun)
    for line in (*changed(target, current), *target.warnings()):
        yield f"note: {line}"
    is_known = current is not None and begun is None
    unknown = (
        is_known
        and current is not None
        and current.is_own
        and target.hashes() != dict(current.units)
    )
    wanted = (
        assigned(current.values, deployment)
        if current is not None and is_known and not unknown
        else ()
    )
    found = gates(target, deployment, wanted)
    yield from (str(g) for g in found)
    if (said := failures(found)) and (
        begun is None or not begun.is_alive
    ):  # a change at work restarts them
        raise ProductionDown(
            f"production is not what it should be: {said}. Do this: "
            f"`sudo python scripts/promote.py rollback --deployment {deployment.path}`, or repair the service and "
            "run status again"
        )


def _begun(begun: pending.Pending) -> str:
    left = begun.until_s - time.time()
    timer = f"the timer rolls it back in {left:.0f} s" if left > 0 else "its timer is over"
    if begun.held:
        return f"on trial: version {begun.target}; `promote.py commit` keeps it, `promote.py rollback` ends it; {timer}"
    if begun.is_alive:
        return f"an {begun.kind} to version {begun.target} is at work (process {begun.pid}), step: {begun.step}"
    died = f"an {begun.kind} to version {begun.target} died in step: {begun.step}"
    return f"{died}; {timer}; `promote.py rollback` does it now"


def history(deployment: Deployment) -> Iterator[str]:
    """The chain of versions, newest first, and the changes that did not last.

    raises: BadInput where the chain does not hold
    """
    chain = Chain(deployment.folder)
    if not (versions := chain.history()):
        yield f"nothing was ever applied under {chain.folder}"
    for n, version in enumerate(versions):
        yield f"{'*' if n == 0 else ' '}{version}"
    for event in pending.events(deployment.folder):
        if event.get("event") in ("rolled_back", "down"):
            yield f"      {event.get('at')}  {event.get('author')}  {event['event']}: {event.get('why')}"
