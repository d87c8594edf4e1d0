"""Sum up from measurements how much sharing the card hurts, at each share of its memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from objectives.allocation import Allocation
from objectives.measurement import INFINITE, Measurement


@dataclass(frozen=True, slots=True)
class ShareSummary:
    """All launches at one share of the memory, summed up.

    Args:
        share: the LLM's share of the memory
        launches: how many launches there are
        interference_stt: median speech latency together / alone, x; None where not measured
        interference_llm: the same of the LLM
        kv_peak_pct: the highest use of the KV cache; None where no server reported it
        kv_tokens: what the smallest cache of this share holds
        kv_limited: whether some capacity ladder ended at a full KV cache
        kv_tokens_most: what the largest cache of this share holds
    """

    share: float
    launches: int
    interference_stt: float | None
    interference_llm: float | None
    kv_peak_pct: float | None
    kv_tokens: int | None
    kv_limited: bool
    kv_tokens_most: int | None = None


def by_share(launches: Iterable[tuple[Allocation, Measurement]]) -> list[ShareSummary]:
    """Sum up the launches of each share that was measured, the smallest first."""
    groups: dict[float, list[Measurement]] = {}
    for allocation, m in launches:
        groups.setdefault(allocation.share, []).append(m)
    return [
        ShareSummary(
            share,
            len(group),
            _median(m.figure("stt_interference") for m in group),
            _median(m.figure("llm_interference") for m in group),
            max(figures(group, "llm_kv_peak_pct"), default=None),
            min(figures(group, "llm_kv_tokens"), default=None),
            any(m.capacity_bound_by == "kv" for m in group),
            max(figures(group, "llm_kv_tokens"), default=None),
        )
        for share, group in sorted(groups.items())
    ]


def figures(group: Sequence[Measurement], name: str) -> list[Any]:
    """Return a figure of every measurement that has it."""
    return [value for m in group if (value := m.figure(name)) is not None]


def _median(values: Iterable[float | None]) -> float | None:
    finite = [v for v in values if v is not None and v != INFINITE]
    return median(finite) if finite else None
