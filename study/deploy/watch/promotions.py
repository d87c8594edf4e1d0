"""New confirmed promotions are applied where the deployment allows it, else reported for review."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from objectives.errors import BadInput, SetupError
from study.deploy.admission import Admitted, admit, check_newer, check_source, device_of
from study.deploy.apply import apply
from study.deploy.change import Say
from study.deploy.config.deployment import Deployment
from study.deploy.errors import ProductionDown, RolledBack
from study.deploy.plan import check_times
from study.deploy.state import pending
from study.deploy.state.versions import Chain
from study.deploy.watch.event import Event
from study.deploy.watch.events_of_0_1 import lost_its_process
from study.promotion.seal import moment, read_unsealed, verify
from study.promotion.status import OF_EXPERIMENT, Status, status_of

DAY_S = 86400.0
SEEN = "seen"  # the event that begins a hold


def promotions(deployment: Deployment, say: Say) -> Iterator[Event]:
    """Yield what becomes of the confirmed promotions that production has not tried yet.

    Args:
        say: Gets each step of an apply.
    """
    folder, chain = deployment.promotions_folder, Chain(deployment.folder)
    judged = {
        str(e.get("promotion_sha256")) for e in pending.events(deployment.folder) if is_verdict(e)
    }
    judged |= {str(v.promotion_sha256) for v in chain.history()}
    candidates: list[Admitted] = []
    doubts: dict[str, datetime] = {}
    current = chain.current()
    for path in (p for p in sorted(folder.glob("*.yaml")) if not _is_of_experiment(p)):
        try:
            if deployment.watch.auto:  # else it only says what a person may apply
                check_source(path, deployment)
            data = verify(path)
            status = status_of(data)
            if status in (Status.REJECTED, Status.INCONCLUSIVE):
                doubts[_key(data)] = max(doubts.get(_key(data), _at(data)), _at(data))
            elif status is Status.CONFIRMED and str(data["sha256"]) not in judged:
                admitted = admit(path, deployment, device_of(deployment))
                check_newer(admitted, current)
                candidates.append(admitted)
        except BadInput as error:
            yield "refused", {"promotion": path.name, "why": str(error)}
    if not candidates:
        return
    newest = max(candidates, key=lambda a: a.written_at)
    for other in candidates:
        if other is not newest:
            yield "superseded", {"promotion": other.path.name, "by": newest.path.name}
    doubt = doubts.get(_key(verify(newest.path)))
    if doubt is not None and doubt > newest.written_at:
        why = "a later confirmation of the same values failed"
        yield "contradicted", {"promotion": newest.path.name, "why": why}
        return
    if not deployment.watch.auto:
        then = (
            f"sudo python scripts/promote.py apply {newest.path} --sha256 {newest.sha256} "
            f"--deployment {deployment.path}"
        )
        yield "review_due", {"promotion": newest.path.name, "then": then}
        return
    due_s = first_seen_s(deployment, newest.sha256) + deployment.watch.hold_days * DAY_S
    if time.time() < due_s:
        until = datetime.fromtimestamp(due_s, UTC).isoformat()
        yield "holding", {"promotion": newest.path.name, "until": until}
    else:
        yield from apply_promotion(deployment, newest, say)


def first_seen_s(deployment: Deployment, sha256: str) -> float:
    """Return when the watch first saw a promotion, Unix time in s, and note it where that is now.

    The file's own dates are its author's words; the hold counts from this moment.

    Raises:
        SetupError: It cannot be noted, and a hold without a beginning would never end.
    """
    for event in pending.events(deployment.folder):
        is_it = (event.get("event"), event.get("promotion_sha256")) == (SEEN, sha256)
        if is_it and (at := moment(event.get("at"))) is not None:
            return at.timestamp()
    try:
        deployment.folder.mkdir(parents=True, exist_ok=True)
        pending.write_note(deployment.folder, SEEN, {"promotion_sha256": sha256})
    except OSError as error:
        raise SetupError(
            f"{deployment.folder}: when a promotion was first seen cannot be noted "
            f"({error.strerror}); the watch needs to write there before it applies by itself"
        ) from error
    return float(int(time.time()))  # the log keeps whole seconds


def _is_of_experiment(path: Path) -> bool:
    """Say whether a promotion is no study's of ours, and so says nothing of these services."""
    try:
        return read_unsealed(path).get("kind") == OF_EXPERIMENT
    except BadInput:
        return False


def apply_promotion(deployment: Deployment, admitted: Admitted, say: Say) -> Iterator[Event]:
    """Apply a promotion, and yield how that ended."""
    yield "applying", {"promotion": admitted.path.name}
    try:
        check_times(deployment)
        apply(deployment, admitted, say=say)
    except (RolledBack, ProductionDown) as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # the watch itself was stopped
            raise error.__cause__ from None
        yield ("rolled_back" if isinstance(error, RolledBack) else "down"), {"why": str(error)}
    else:
        yield "applied", {"promotion": admitted.path.name}


def is_verdict(event: Mapping[str, object]) -> bool:
    """Tell a change that was judged from one that lost its process."""
    is_typed = "died_in" in event
    is_lost = event["died_in"] is not None if is_typed else lost_its_process(event)
    return event.get("event") == "rolled_back" and not is_lost


def _key(data: Mapping[str, object]) -> str:
    return json.dumps(data.get("parameters"), sort_keys=True)


def _at(data: Mapping[str, object]) -> datetime:
    """Return when a promotion was confirmed, else written; now, where it does not say."""
    confirmation = data.get("confirmation")
    stamp = confirmation.get("written_at") if isinstance(confirmation, Mapping) else None
    return moment(stamp or data.get("written_at")) or datetime.now(UTC)
