"""Limits bound what a request of a turn may take; a good turn meets them all. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from objectives.figures import STREAMED, flat_name
from objectives.plain_data.ranges import Range

FAILED = "failed_requests"  # what stands in place of a limit where a request failed
LIMIT_MS = Range(1, 1e7)  # that an owner may write
TOLERANCE_MS = 1e-6  # of the arithmetic: times are written with four decimals of a second

# What the owner of a voice assistant would accept.
DEFAULT_LIMITS: Mapping[str, float] = {
    "stt_latency_p95_ms": 1000.0,
    "llm_ttft_p95_ms": 2000.0,
    "llm_tpot_p95_ms": 100.0,
}
SHORT_NAMES: Mapping[str, str] = {
    "stt_ms": "stt_latency_p95_ms",
    "ttft_ms": "llm_ttft_p95_ms",
    "tpot_ms": "llm_tpot_p95_ms",
}


def limit_names(apis: Mapping[str, str]) -> list[str]:
    """Return the names that a limit of these services may have.

    Args:
        apis: The API of each service.

    >>> limit_names({"stt": "transcription"})
    ['stt_latency_p95_ms']
    """
    return [
        flat_name(service, f"{figure}_p95_ms")
        for service, api in apis.items()
        for figure in ("latency", *(("ttft", "tpot") if api in STREAMED else ()))
    ]


class TimedReply(Protocol):
    """A reply has times in seconds, each None where its event never came."""

    @property
    def service(self) -> str: ...
    @property
    def scheduled_s(self) -> float: ...
    @property
    def first_s(self) -> float | None: ...
    @property
    def end_s(self) -> float | None: ...
    @property
    def tokens(self) -> int | None: ...
    @property
    def error(self) -> object | None: ...


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit is what a request of a service may take at most.

    Args:
        name: Its name, as its owner wrote it.
        service: The service whose requests it bounds.
        figure: `latency`, `ttft` or `tpot`.
        ms: The highest value that meets it, ms.
    """

    name: str
    service: str
    figure: str
    ms: float

    @classmethod
    def of(cls, name: str, ms: float) -> Limit:
        """Return the limit of a name such as `llm_ttft_p95_ms`, or its short one, `ttft_ms`.

        Raises:
            ValueError: No figure has this name, or the value is no time above 0.

        >>> Limit.of("ttft_ms", 2000.0)
        Limit(name='ttft_ms', service='llm', figure='ttft', ms=2000.0)
        """
        parts = re.fullmatch(r"(\w+)_(latency|ttft|tpot)_p95_ms", SHORT_NAMES.get(name, name))
        if parts is None:
            raise ValueError(
                f"unknown limit {name!r}; choose {', '.join(SHORT_NAMES)}, or a service's "
                "latency, ttft or tpot, e.g. llm_latency_p95_ms"
            )
        if not 0 < ms < math.inf:
            raise ValueError(f"the limit {name} is {ms:g}; it is a time above 0 ms")
        return cls(name, parts[1], parts[2], ms)

    def is_met(self, reply: TimedReply) -> bool:
        """Return whether a request meets the limit; one of another service always does."""
        return reply.service != self.service or own_ms(reply, self.figure) <= self.ms + TOLERANCE_MS


def is_failed(reply: TimedReply) -> bool:
    """Return whether a request failed: with an error, or without an end."""
    return reply.error is not None or reply.end_s is None


def own_ms(reply: TimedReply, figure: str) -> float:
    """Return a request's own value of a figure, ms; infinite where it failed or is not known.

    Args:
        reply: What became of the request.
        figure: `latency` is the scheduled send to the end, `ttft` to the first content, which an
            answer of no token never has; `tpot` is the time per token after the first.
    """
    if is_failed(reply) or reply.end_s is None:
        return math.inf
    if figure == "latency":
        return (reply.end_s - reply.scheduled_s) * 1000.0
    if reply.first_s is None or reply.tokens == 0:
        return math.inf
    if figure == "ttft":
        return (reply.first_s - reply.scheduled_s) * 1000.0
    if reply.tokens == 1:  # there is no time between tokens that could be too long
        return 0.0
    spans = 0 if reply.tokens is None else reply.tokens - 1
    return (reply.end_s - reply.first_s) * 1000.0 / spans if spans else math.inf


def latest_ms(limits: Iterable[Limit], service: str, tokens: int) -> float | None:
    """Return the time within which a request of so many tokens has ended, if it meets its limits.

    It is None where they do not bound it.

    >>> latest_ms([Limit.of("ttft_ms", 2000.0), Limit.of("tpot_ms", 100.0)], "llm", 65)
    8400.0
    """
    ms = {limit.figure: limit.ms for limit in limits if limit.service == service}
    ends_ms = [ms["latency"]] if "latency" in ms else []
    if ms.keys() >= {"ttft", "tpot"}:
        ends_ms.append(ms["ttft"] + ms["tpot"] * max(0, tokens - 1))
    return min(ends_ms, default=None)


def missed(turn: Iterable[TimedReply], limits: Iterable[Limit]) -> tuple[str, ...]:
    """Return the names of the limits that the requests of a turn miss; nothing for a good turn.

    A failed turn meets none: it misses `FAILED` alone.
    """
    replies = tuple(turn)
    if [r for r in replies if is_failed(r)]:  # a list of two is made faster than a generator
        return (FAILED,)
    return tuple(dict.fromkeys([m.name for m in limits for r in replies if not m.is_met(r)]))
