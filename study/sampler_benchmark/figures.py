"""A figure of a comparison of samplers has a direction, a kind and a column; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from study.sampler_benchmark.trial_run import CHECKPOINTS

SHOWN_AT = 40  # trials after which a table says whether the best was named


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure is counted in a run, or is yes or no there.

    Args:
        column: The head of its column in the table of a problem; empty: it has none there.
        is_share: Whether it is yes or no in a run, so that runs have a share of it.
        is_larger_better: Whether more of it is better.
        is_percent: Whether a table shows it in per cent.
        digits: Its digits behind the point in a table.
    """

    column: str
    is_share: bool = False
    is_larger_better: bool = False
    is_percent: bool = False
    digits: int = 3


def _regret(at: int) -> Figure:
    return Figure(column=f"{'regret ' if at == CHECKPOINTS[0] else ''}at {at}")


def _named(way: str, at: int) -> Figure:
    return Figure(
        column=f"{way} right at {at} %" if at == SHOWN_AT else "",
        is_share=True,
        is_larger_better=True,
        is_percent=True,
        digits=0,
    )


FIGURES: Mapping[str, Figure] = {
    "trials_to_target": Figure(column="trials to target", digits=1),
    "missed": Figure(column="missed %", is_share=True, is_percent=True, digits=0),
    **{f"regret_{at}": _regret(at) for at in CHECKPOINTS},
    "repeats": Figure(column="repeats %", is_percent=True, digits=0),
    "oom": Figure(column="out of memory", digits=1),
    "oom_repeats": Figure(column="known to be", digits=1),
    **{
        f"{way}_named_{at}": _named(way, at)
        for at in CHECKPOINTS
        for way in ("best_trial", "recommend")
    },
}
