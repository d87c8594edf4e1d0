"""New confirmed promotions are applied where the deployment allows it, else reported for review."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from objectives.errors import BadInput
from study.deploy.admission import Admitted, admit, device_of
from study.deploy.apply import apply
from study.deploy.change import Say
from study.deploy.config.deployment import Deployment
from study.deploy.errors import ProductionDown, RolledBack
from study.deploy.plan import check_times
from study.deploy.state import pending
from study.deploy.state.versions import Chain
from study.deploy.watch.event import Event
from study.promotion.seal import moment, read_unsealed, verify
from study.promotion.status import OF_EXPERIMENT, Status, status_of

DAY_S = 86400.0


def promotions(deployment: Deployment, say: Say) -> Iterator[Event]:
    """Yield what becomes of the confirmed promotions that production has not tried yet.

    Args:
        say: Gets each step of an apply.
    """
    folder, chain = Path(deployment.watch.promotions), Chain(deployment.folder)
    if not folder.is_absolute():
        folder = deployment.path.parent / folder
    judged = {
        str(e.get("promotion_sha256")) for e in pending.events(deployment.folder) if is_verdict(e)
    }
    judged |= {str(v.promotion_sha256) for v in chain.history()}
    candidates: list[Admitted] = []
    doubts: dict[str, datetime] = {}
    for path in (p for p in sorted(folder.glob("*.yaml")) if not _is_of_experiment(p)):
        try:
            data = verify(path)
            status = status_of(data)
            if status in (Status.REJECTED, Status.INCONCLUSIVE):
                doubts[_key(data)] = max(doubts.get(_key(data), _at(data)), _at(data))
            elif status is Status.CONFIRMED and str(data["sha256"]) not in judged:
                candidates.append(admit(path, deployment, device_of(deployment)))
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
    due_s = newest.written_at.timestamp() + deployment.watch.hold_days * DAY_S
    if not deployment.watch.auto:
        then = f"sudo python scripts/promote.py apply {newest.path} --deployment {deployment.path}"
        yield "review_due", {"promotion": newest.path.name, "then": then}
    elif time.time() < due_s:
        until = datetime.fromtimestamp(due_s, UTC).isoformat()
        yield "holding", {"promotion": newest.path.name, "until": until}
    else:
        yield from apply_promotion(deployment, newest, say)


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
    lost = str(event.get("why")).startswith("its process ended")  # what 0.1 wrote of it
    return event.get("event") == "rolled_back" and event.get("died_in") is None and not lost


def _key(data: Mapping[str, object]) -> str:
    return json.dumps(data.get("parameters"), sort_keys=True)


def _at(data: Mapping[str, object]) -> datetime:
    """Return when a promotion was confirmed, else written; now, where it does not say."""
    confirmation = data.get("confirmation")
    stamp = confirmation.get("written_at") if isinstance(confirmation, Mapping) else None
    return moment(stamp or data.get("written_at")) or datetime.now(UTC)
