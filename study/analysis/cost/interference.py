"""This module sums up how much sharing the card hurts, at each share of its memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from objectives.allocation import Allocation
from objectives.measurement import INFINITE, Measurement
from study.spec.choices import LLM


@dataclass(frozen=True, slots=True)
class ShareSummary:
    """A summary is that of all launches at one share of the memory.

    Args:
        share: The LLM's share of the memory.
        launches: How many launches there are.
        interference: Median latency together / alone by service, x; None where not measured.
        kv_peak_pct: The highest use of the LLM's KV cache; None where its server reported none.
        kv_tokens: What the smallest cache of this share holds.
        kv_limited: Whether some ramp broke at a full KV cache.
        kv_tokens_most: What the largest cache of this share holds.
    """

    share: float
    launches: int
    interference: Mapping[str, float | None]
    kv_peak_pct: float | None
    kv_tokens: int | None
    kv_limited: bool
    kv_tokens_most: int | None = None


def by_share(launches: Iterable[tuple[Allocation, Measurement]]) -> list[ShareSummary]:
    """Sum up the launches of each share that was measured, the smallest first; none without one."""
    groups: dict[float, list[Measurement]] = {}
    for allocation, m in (pair for pair in launches if pair[0].has_share):
        groups.setdefault(allocation.share, []).append(m)
    return [
        ShareSummary(
            share,
            len(group),
            {
                name: _median(m.services[name].interference for m in group if name in m.services)
                for name in dict.fromkeys(name for m in group for name in m.services)
            },
            max(values_of_llm(group, "kv_peak_pct"), default=None),
            min(values_of_llm(group, "kv_tokens"), default=None),
            any(m.capacity_bound_by == "kv" for m in group),
            max(values_of_llm(group, "kv_tokens"), default=None),
        )
        for share, group in sorted(groups.items())
    ]


def values_of_llm(group: Sequence[Measurement], field: str) -> list[Any]:
    """Return a figure of the LLM that answers turns, of all measurements that have it."""
    services = (m.services[LLM] for m in group if LLM in m.services)
    return [value for s in services if (value := getattr(s, field)) is not None]


def _median(values: Iterable[float | None]) -> float | None:
    finite = [v for v in values if v is not None and v != INFINITE]
    return median(finite) if finite else None
