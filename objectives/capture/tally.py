"""A tally counts what passed: what is in the trace, what is not and why, and how a mirror did."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from objectives.capture.exchange import Exchange
from objectives.capture.lengths import Lengths, Missing
from objectives.capture.mirror import is_compared
from objectives.services import ApiName


@dataclass(frozen=True, slots=True)
class Timing:
    """A timing is that of one answer, from the moment at which its request had come whole.

    Args:
        first_ms: To the first byte of a stream's body; None where it is no stream.
        latency_ms: To its end; infinite where it failed.
    """

    first_ms: float | None
    latency_ms: float

    @property
    def has_failed(self) -> bool:
        """Return whether it brought no answer."""
        return math.isinf(self.latency_ms)


@dataclass(frozen=True, slots=True)
class MirroredPair:
    """A pair is one request as its server answered it, and as the mirror did.

    Args:
        api: The API that it was of.
        server: How the server did.
        mirror: How the mirror did.
    """

    api: ApiName
    server: Timing
    mirror: Timing


@dataclass(slots=True)
class Tally:
    """A tally holds the counts of a capture.

    Args:
        kept: The lengths that the trace has, by API.
        missing: How many arrivals it has not, by API and reason.
        left: How many of `kept` ended with a client that hung up.
        others: How many requests were of other paths.
        unreadable: How many connections carried something else than HTTP/1, from some point on.
        pairs: Requests that a mirror answered too.
        left_out: How many copies are not compared: a client hung up, or the capture ended.
        dropped: How many requests a mirror got no copy of.
    """

    kept: defaultdict[ApiName, list[Lengths]] = field(default_factory=lambda: defaultdict(list))
    missing: Counter[tuple[ApiName, Missing]] = field(default_factory=Counter)
    left: int = 0
    others: int = 0
    unreadable: int = 0
    pairs: list[MirroredPair] = field(default_factory=list)
    left_out: int = 0
    dropped: int = 0

    def compare(self, server: Exchange, mirror: Exchange) -> None:
        """Note a request that both have ended."""
        if server.api is None or not is_compared(server) or not is_compared(mirror):
            self.left_out += 1
            return
        self.pairs.append(MirroredPair(server.api, timing(server), timing(mirror)))


def timing(exchange: Exchange) -> Timing:
    """Return the timing of an exchange that has ended."""
    begin_s = exchange.at_s if exchange.whole_s is None else exchange.whole_s
    first_s, end_s = exchange.first_s, exchange.end_s
    first_ms = (first_s - begin_s) * 1000 if exchange.is_stream and first_s is not None else None
    if exchange.has_failed or end_s is None:
        return Timing(first_ms, math.inf)
    return Timing(first_ms, (end_s - begin_s) * 1000)


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the value that a share of them does not exceed; None of none.

    >>> quantile([3.0, 1.0, 2.0, 4.0], 0.5), quantile([1.0, math.inf], 0.95), quantile([], 0.5)
    (2.0, inf, None)
    """
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)] if values else None
