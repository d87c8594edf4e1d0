"""A confirmation says how long it takes, and begins nothing that would not end in time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made.factories import STRESS, pair
from made.live_factories import promotion

from objectives.capacity.holds import Hold
from study.confirmation.pairs import time_needed
from study.confirmation.pairs.next_step import Next
from study.confirmation.pairs.time_needed import expected_step_s, outlook
from study.confirmation.records import Head, PairsJournal, RoleHold
from study.confirmation.subject import Subject, subject
from study.rule.pairs import Role

WORKLOADS = ("main", "voice_assistant")
NEXT = Next("ab", 6)
WALLS_S = {"shelf-0": (233.0, 228.0), "shelf-1": (409.0, 235.0, 238.0)}


@pytest.fixture
def of(tmp_path: Path) -> Subject:
    return subject(promotion(tmp_path))


def journal() -> PairsJournal:
    """Return a journal of two cards, each of which compiled in its first pair."""
    walls = [(card, s) for card, of_card in WALLS_S.items() for s in of_card]
    pairs = [
        replace(pair(number, {}, {}, workloads=WORKLOADS), card=card, wall_s=s)
        for number, (card, s) in enumerate(walls, 1)
    ]
    head = Head(
        promotion="a" * 64, claim="latency", workloads={}, servers={}, product="shelf", total_mib=9
    )
    return PairsJournal(head=head, pairs=tuple(pairs), stress=STRESS)


@pytest.mark.parametrize(
    ("card", "longest_s"), [("shelf-0", 228.0), ("shelf-1", 238.0), ("shelf-2", 409.0)]
)
def test_a_card_that_has_compiled_takes_no_such_time_again(
    of: Subject, card: str, longest_s: float
) -> None:
    assert expected_step_s(NEXT, journal(), of, card) == pytest.approx(1.05 * longest_s)


def holding(*holds: tuple[Role, str]) -> PairsJournal:
    """Return a journal with these holds, whose launches took 40 s to start, the winner's 90."""
    arms = {"phase_s": {"starting llm": 40.0}}, {"phase_s": {"starting llm": 90.0, "alone": 9.0}}
    held = tuple(
        RoleHold(
            role=role,
            hold=Hold(2.0, 60.0, 120, 120),
            at="",
            wall_s=999.0,
            card=card,
            driver=None,
            seed=1,
        )
        for role, card in holds
    )
    return replace(journal(), pairs=(pair(1, *arms, workloads=WORKLOADS),), holds=held)


@pytest.mark.parametrize(
    ("holds", "serving", "needed_s"),
    [
        ([], None, 40 + 105),
        ([("baseline", "shelf-0")], "baseline", 105),
        ([("baseline", "shelf-0")], None, 40 + 105),  # in a later run
        ([("baseline", "shelf-0")] * 3, "baseline", 90 + 105),
        ([("baseline", "shelf-1")], None, 40 + 90 + 6 * 105),  # all anew
    ],
)
def test_a_hold_takes_a_start_only_where_its_servers_do_not_run(
    of: Subject,
    monkeypatch: pytest.MonkeyPatch,
    holds: list[tuple[Role, str]],
    serving: Role | None,
    needed_s: float,
) -> None:
    role = "winner" if len(holds) == 3 else "baseline"
    monkeypatch.setattr(time_needed, "hold_to_come", lambda *_: (role, 2.0))
    own = holding(*holds)
    assert expected_step_s(Next("hold", 1), own, of, "shelf-0", serving) == needed_s
    left_s = 105 * (6 - len(holds)) + 90 + 40 * (len(holds) < 3)
    assert outlook(own, of, 12) == (
        f"to measure: the holds; about {left_s / 60:.0f} min (a guess from the workload)"
    )


def test_what_is_left_takes_what_most_pairs_took(of: Subject) -> None:
    line = outlook(journal(), replace(of, aa_pairs=0), 6)
    assert line == "to measure: 1 pairs; about 4 min (by what a pair took)"


def first_only() -> PairsJournal:
    """Return a journal whose first pair alone is measured: it found ranges, and counted words."""
    first = {"starting llm": 40.0, "alone": 30.0, "ramp": 200.0, "window": 30.0}
    second = {"starting llm": 40.0, "alone": 10.0, "ramp": 60.0, "window": 30.0}
    phases = {"phase_s": first}, {"phase_s": second}
    aa = replace(pair(1, *phases, stage="aa", workloads=WORKLOADS), wall_s=900.0)
    return replace(journal(), pairs=(aa,), stress=None)


def test_what_the_first_launch_does_once_is_expected_of_no_later_pair(of: Subject) -> None:
    pair_s = 2 * (2 * 140.0)  # two launches under two workloads
    for step in (Next("aa", 2), Next("ab", 1)):
        assert expected_step_s(step, first_only(), of, "shelf-0") == pytest.approx(
            1.05 * pair_s + 60.0
        )
    stress_s = expected_step_s(Next("stress", 1), first_only(), of, "shelf-0")
    assert stress_s == pytest.approx(0.75 * (pair_s - 4 * 60.0)), "it has no ramps"
    assert "about 66 min (by what a pair took)" in outlook(first_only(), replace(of, aa_pairs=1), 6)
