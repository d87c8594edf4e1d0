"""After a load that servers could not follow they are waited for, until they are idle again."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from objectives import waiting
from objectives.diagnosis.diagnosis import OVERDUE, Diagnosis
from objectives.diagnosis.log import FailurePhase
from objectives.errors import Disturbed
from objectives.evaluation import Phase, Step
from objectives.exercise.longest import SETTLE_S
from objectives.exercise.ready_servers import ReadyServers
from objectives.exercise.words import raise_first
from objectives.load.open_loop import one_by_one
from objectives.load.replies import Fault, Reply
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Request

SLOWER, LATER_MS = 2.0, 100.0  # an idle server may be slower than alone by so much
PAUSE_S = 0.5
TOO_BUSY = (429, 503)  # as HTTP says it


@dataclass(frozen=True, slots=True)
class IdleProbe:
    """A probe is a request that an idle server answers within a time.

    Args:
        request: The request.
        alone_ms: The time that its answer took while nothing else was asked, ms.
    """

    request: Request
    alone_ms: float

    def is_answered(self, reply: Reply) -> bool:
        """Return whether an answer came as soon as an idle server gives it.

        >>> reply = Reply(service="llm", scheduled_s=0.0, sent_s=0.0, end_s=0.5)
        >>> IdleProbe(Request("llm", 0.0), 250.0).is_answered(reply)
        True
        """
        return reply.latency_ms <= SLOWER * self.alone_ms + LATER_MS


def probes_of(requests: Sequence[Request], replies: Sequence[Reply]) -> list[IdleProbe]:
    """Return a probe for each service: the last request that it answered.

    Args:
        requests: What was asked of each service alone, in order.
        replies: The answers to them.
    """
    last = {q.service: IdleProbe(q, r.latency_ms) for q, r in zip(requests, replies, strict=True)}
    return [*last.values()]


def has_left_work(errors: Iterable[object | None]) -> bool:
    """Return whether a load may have left work behind: a request failed, or was given up.

    A server may go on with what nobody waits for any more.
    """
    return any(error is not None for error in errors)


def wait_until_idle(
    probes: Sequence[IdleProbe], servers: ReadyServers, clips: Sequence[Clip]
) -> bool:
    """Ask each service by itself, until each answers like an idle one; return whether all do.

    A server that is too busy to answer is waited for, five minutes at most.

    Args:
        probes: What to ask.
        servers: The servers.
        clips: The speech that requests name by number.

    Raises:
        TrialFailed: A request failed for another reason.
    """
    servers.on_phase(Phase(Step.SETTLING))
    until_s, requests = time.monotonic() + SETTLE_S, [p.request for p in probes]
    while (left_s := until_s - time.monotonic()) > 0:
        replies = one_by_one(
            servers.generator, servers.endpoints, clips, requests, timeout_s=left_s
        )
        raise_first([r for r in replies if not _is_busy(r)], servers.suspects)
        pairs = zip(probes, replies, strict=False)  # what follows a refusal is not asked
        if len(replies) == len(probes) and all(p.is_answered(r) for p, r in pairs):
            return True
        waiting.sleep(PAUSE_S)
    return False


def still_busy() -> Disturbed:
    """Return the failure of a launch whose servers do not come to rest."""
    why = f"its servers were busy {SETTLE_S:g} s after a load that they could not follow"
    return Disturbed(Diagnosis(OVERDUE, None, FailurePhase.LOAD, None, why))


def _is_busy(reply: Reply) -> bool:
    error = reply.error
    return error is not None and (error.fault is Fault.TIMEOUT or error.status in TOO_BUSY)
