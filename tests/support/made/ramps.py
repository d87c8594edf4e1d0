"""This module makes up ramps: a queue whose capacity is known answers the turns that arrive."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
from made.factories import Outcome, cell, changed

from objectives.capacity.limits import DEFAULT_LIMITS
from objectives.capacity.ramp_range import RampRange
from objectives.capacity.ramp_rate import RampRate
from objectives.load.ramp import turn_times
from objectives.measurement import Measurement
from objectives.recording.kept_replies import RAMP, REPLY_COLUMNS, WINDOW, Rows, under

SLOTS = 8  # requests that the queue serves at once
KEPT_RANGE = RampRange(2.0, 10.0)  # of ramps whose replies are kept
DRAIN_S = 20.0  # what has not ended so long after the last arrival has failed


def replies(
    capacity_per_s: float, rate: RampRate, seed: int = 1, ramp: int = 0
) -> list[dict[str, Any]]:
    """Return the lines of a ramp against a queue that completes so many turns a second.

    Its clips take 0.1 s. Its LLM requests, due 0.4 s after the clip, wait for one of the slots.
    """
    rng = np.random.default_rng([seed, 99])
    free_s = [0.0] * SLOTS
    lines = []
    for at_s in turn_times(rate, seed):
        due_s = at_s + 0.4
        begin_s = max(due_s, heapq.heappop(free_s))
        end_s = begin_s + SLOTS / capacity_per_s * rng.uniform(0.8, 1.2)
        heapq.heappush(free_s, end_s)
        failed = end_s > rate.ramp_s + DRAIN_S
        lines.append(line("stt", at_s, at_s + 0.1, at_s + 0.1, None, ramp=ramp, seed=seed))
        lines.append(
            line(
                "llm",
                due_s,
                None if failed else begin_s + 0.1,
                None if failed else end_s,
                None if failed else 64,
                ramp=ramp,
                seed=seed,
                error="TimeoutError: " if failed else None,
            )
        )
    return lines


def line(
    service: str,
    scheduled_s: float,
    first_s: float | None,
    end_s: float | None,
    tokens: int | None,
    **more: Any,
) -> dict[str, Any]:
    """Return one reply, as a file has it."""
    fields = {"service": service, "scheduled_s": scheduled_s, "first_s": first_s, "end_s": end_s}
    return {"ramp": 0, "seed": 1, "error": None, **fields, "tokens": tokens, **more}


def kept(capacity_per_s: float) -> Rows:
    """Return what a launch keeps: a window of four clips and four LLM requests, and a ramp.

    The LLM's first tokens come after 0.5, 1.0, 1.5 and 2.5 s.
    """
    window = [line("stt", float(n), n + 0.2, n + 0.2, None, ramp=WINDOW) for n in range(4)]
    window += [
        line("llm", n + 0.5, n + 0.5 + first_s, n + 0.6 + first_s, 8, ramp=WINDOW)
        for n, first_s in enumerate((0.5, 1.0, 1.5, 2.5))
    ]
    rate = RampRate.doubling(KEPT_RANGE.first_per_s, every_s=KEPT_RANGE.doubling_s, ramp_s=45.0)
    pairs = replies(capacity_per_s, rate, ramp=RAMP)  # the two requests of each turn in turn
    ramp = [{**x, "turn": n // 2} for n, x in enumerate(pairs)]
    return [[x.get(column) for column in REPLY_COLUMNS] for x in (*window, *ramp)]


def kept_of(share: float, size: str) -> Rows:
    """Return what a launch of the made-up space keeps, whose capacity grows with the share."""
    return kept(8 + 80 * (share - 0.5))


def kept_cell(share: float, size: str, rows: Rows | None = None) -> Outcome:
    """Return what the rows, or those, show under the default limits; out of memory at 0.60."""
    outcome = cell(share, size)
    if not isinstance(outcome, Measurement):
        return outcome
    outcome = changed(outcome, ramp=KEPT_RANGE.to_json())
    return under(outcome, rows or kept_of(share, size), DEFAULT_LIMITS, 1.0)
