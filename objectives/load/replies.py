"""One request and what became of it, and how the replies of a window become figures. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from objectives.measurement import INFINITE


class Fault(StrEnum):
    """How a request failed."""

    STATUS = "status"  # another HTTP status than 200
    STREAM = "stream"  # the server reported an error inside its stream
    CONNECT = "connect"  # nobody listens
    PROTOCOL = "protocol"  # the peer hung up early, or said what is not HTTP
    TIMEOUT = "timeout"
    ANSWER = "answer"  # an answer that is not what the API promises
    EMPTY = "empty"  # an answer without content


ENDS_A_WINDOW = (Fault.STREAM, Fault.CONNECT, Fault.PROTOCOL)


@dataclass(frozen=True, slots=True)
class RequestError:
    """Why a request failed.

    status: the HTTP status, where that is the fault; text: for a person
    """

    fault: Fault
    text: str
    status: int | None = None

    @property
    def is_fatal(self) -> bool:
        """Whether its server is beyond serving: it answers 5xx, hangs up, or its engine died."""
        is_broken = self.status is not None and self.status >= 500
        return is_broken or self.fault in ENDS_A_WINDOW

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Symptom:
    """What ended a window: a request's error, or a server that has ended.

    service: whose request it was; None where a server ended
    """

    text: str
    service: str | None = None
    error: RequestError | None = None

    def __str__(self) -> str:
        return self.text if self.service is None else f"{self.service}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One request and what became of it; times in seconds on one clock, `None` where it never came.

    scheduled_s: when it should have left; sent_s: when it left; first_s: first content; end_s: complete
    tokens: output tokens by the server's own `usage`; audio_s: length of the clip; error: why it failed
    """

    service: str
    scheduled_s: float
    sent_s: float
    first_s: float | None = None
    end_s: float | None = None
    tokens: int | None = None
    audio_s: float | None = None
    clip: int | None = None
    text: str | None = None
    error: RequestError | None = None

    @property
    def latency_ms(self) -> float:
        """From the scheduled send to the end; infinite for a failed, timed-out or empty answer."""
        if self.error is not None or self.end_s is None:
            return INFINITE
        return (self.end_s - self.scheduled_s) * 1000.0

    @property
    def is_fatal(self) -> bool:
        """Whether it ends its window at once: its server is beyond serving."""
        return self.error is not None and self.error.is_fatal

    @property
    def symptom(self) -> Symptom | None:
        """Why it failed, with whose answer it was; None where it did not."""
        if self.error is None:
            return None
        return Symptom(self.error.text, self.service, self.error)

    def to_json(self) -> dict[str, Any]:
        """The reply as plain data, its error in words."""
        return {**asdict(self), "error": None if self.error is None else self.error.text}

    @property
    def ttft_ms(self) -> float:
        """From the scheduled send to the first content; infinite for a failed request."""
        if self.error is not None or self.first_s is None:
            return INFINITE
        return (self.first_s - self.scheduled_s) * 1000.0


def quantile(values: Iterable[float], q: float) -> float | None:
    """Nearest-rank quantile over everything offered: a failed request is infinite and stays in.

    >>> quantile([1.0, 2.0, 3.0, float("inf")], 0.5), quantile([1.0, float("inf")], 0.95), quantile([], 0.5)
    (2.0, inf, None)
    """
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)]


def services_in(replies: Sequence[Reply]) -> list[str]:
    """Return the services that were asked, by name."""
    return sorted({r.service for r in replies})


def summarise(replies: Sequence[Reply]) -> dict[str, Any]:
    """Return the figures that follow from the replies of one window alone, by flat name.

    A service whose answers are streamed token by token has times of tokens, one that hears has a real-time factor.
    """
    by_service = {s: [r for r in replies if r.service == s] for s in services_in(replies)}
    figures = {
        f"{service}_{name}": value
        for service, own in by_service.items()
        for name, value in _figures(own).items()
    }
    failed = sum(r.error is not None for r in replies)
    return figures | {
        "failure_rate": failed / len(replies) if replies else None,
        "generator_lag_p99_ms": _lag_p99_ms(replies),
        "lag_exceeded": any(_is_late(own) for own in by_service.values()),
    }


def _figures(replies: Sequence[Reply]) -> dict[str, Any]:
    """Return the figures of one service."""
    tpot = [
        (r.end_s - r.first_s) * 1000.0 / (r.tokens - 1)
        for r in replies
        if r.error is None
        and r.end_s is not None
        and r.first_s is not None
        and r.tokens
        and r.tokens > 1
    ]
    spoken = [
        (r.audio_s, r.end_s - r.sent_s)
        for r in replies
        if r.error is None and r.end_s and r.audio_s
    ]
    figures: dict[str, Any] = {
        "latency_ms": quantile([r.latency_ms for r in replies], 0.5),
        "latency_p95_ms": quantile([r.latency_ms for r in replies], 0.95),
        "offered": len(replies),
    }
    if any(r.audio_s for r in replies):
        figures["rtfx"] = sum(a for a, _ in spoken) / sum(s for _, s in spoken) if spoken else None
    else:
        figures |= {
            "ttft_ms": quantile([r.ttft_ms for r in replies], 0.5),
            "ttft_p95_ms": quantile([r.ttft_ms for r in replies], 0.95),
            "tpot_ms": float(np.median(tpot)) if tpot else None,
        }
    return figures


def _lag_p99_ms(replies: Sequence[Reply]) -> float | None:
    return quantile(_lags_ms(replies), 0.99)


def _lags_ms(replies: Sequence[Reply]) -> list[float]:
    return [(r.sent_s - r.scheduled_s) * 1000.0 for r in replies]


def _is_late(replies: Sequence[Reply]) -> bool:
    """Whether more than 1 % of the requests left late; of over 20 a single one is beyond their p95: not counted."""
    limit_ms = _lag_limit_ms(replies)
    late = sum(lag_ms > limit_ms for lag_ms in _lags_ms(replies))
    return late > max(1 if len(replies) > 20 else 0, len(replies) // 100)


def _lag_limit_ms(replies: Sequence[Reply]) -> float:
    """The larger of 5 ms and 2 % of this service's own median: what is late must matter to what is measured."""
    return max(5.0, 0.02 * (quantile([r.latency_ms for r in replies], 0.5) or 0.0))


def interference(together: Sequence[Reply], alone: Sequence[Reply], service: str) -> float | None:
    """Median latency under joint load / median alone, in the same launch; None where either is missing."""
    joint = quantile([r.latency_ms for r in together if r.service == service], 0.5)
    single = quantile([r.latency_ms for r in alone if r.service == service], 0.5)
    if joint is None or single is None or INFINITE in (joint, single) or single <= 0:
        return None
    return joint / single
