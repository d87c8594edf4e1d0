"""This module makes up ramps: a queue whose capacity is known answers the turns that arrive."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np

from objectives.capacity.ramp_rate import RampRate
from objectives.load.ramp import turn_times

SLOTS = 8  # requests that the queue serves at once
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
