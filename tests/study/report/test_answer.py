"""A capacity from few turns is called wide, and one that was measured as none is no gap."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest
from made.configurations import launched
from made.factories import only

from study.analysis.compare import figure_differences
from study.analysis.configurations import Configuration
from study.analysis.gain import gain_of
from study.report.answer import better
from study.report.comparison import comparison
from study.report.summary import Summary
from study.report.trial_words import mean_capacity
from study.rule.rule import Claim
from study.spec.choices import APIS


def ramped(number: int, turns_per_s: float | None, below: int) -> Configuration:
    """Return a configuration of one launch, whose capacity rests on so many turns."""
    figures = only(
        capacity_turns_per_s=turns_per_s, capacity_bound_by="llm", capacity_turns_below=below
    )
    return launched(number, [figures], 0.6)


@pytest.mark.parametrize(("below", "is_wide"), [(61, True), (150, False)])
def test_a_gain_in_capacity_says_where_it_rests_on_few_turns(below: int, is_wide: bool) -> None:
    today, other = ramped(0, 2.0, 400), ramped(1, 3.0, below)
    it = SimpleNamespace(gain=gain_of(other, today, [today, other], {"llm": 1.0}, Claim.CAPACITY))
    line = better(cast(Summary, it), today, other)
    assert line.startswith("Better: 50 % more capacity (3.00 turns/s instead of 2.00; ")
    wide = "; wide: a capacity rests on 61 turns below the break, not 150; other arrivals may move"
    assert (wide in line) is is_wide


def test_a_capacity_that_was_measured_as_none_is_told_as_no_good_rate() -> None:
    today, other = ramped(0, 2.0, 400), ramped(1, None, 5)
    unknown = launched(2, [only(llm_latency_p95_ms=900.0)], 0.6)
    for one, text in ((other, "no good rate"), (unknown, "not measured")):
        (row,) = [
            r
            for r in comparison(figure_differences(today, one, [today, one], APIS))
            if r.old == "2.00 turns/s"
        ]
        assert (row.new, row.change) == (text, "-")
    assert (mean_capacity(other), mean_capacity(unknown)) == ("no good rate", "-")


@pytest.mark.parametrize(
    ("first", "second", "how"),
    [
        ((2.0, 2.1), (3.0, 3.1), "Better"),
        ((2.0, 3.0), (2.2, 3.2), "Perhaps better"),
        ((3.0, 3.1), (2.0, 2.1), "Not better"),
    ],
)
def test_a_gain_that_noise_could_explain_is_perhaps_one(
    first: tuple[float, float], second: tuple[float, float], how: str
) -> None:
    today, other = (
        launched(n, [only(capacity_turns_per_s=c, capacity_turns_below=400) for c in rates], 0.6)
        for n, rates in enumerate((first, second))
    )
    it = SimpleNamespace(gain=gain_of(other, today, [today, other], {"llm": 1.0}, Claim.CAPACITY))
    assert better(cast(Summary, it), today, other).startswith(f"{how}: ")
