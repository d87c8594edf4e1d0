"""These tests merge the journals of cards: each pair once, the worse stress, any failure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from made.factories import STRESS, oom, pair

from objectives.capacity.ramp_range import RampRange
from objectives.errors import BadInput
from study.confirmation.pairs.merge import merged
from study.confirmation.pairs.part import WHOLE, Part
from study.confirmation.records import FailedLaunch, Head, PairsJournal

HEAD = Head(promotion="p", claim="either", workloads={}, servers={}, product="x", total_mib=1)


def card(name: str, *numbers: int, **more: Any) -> PairsJournal:
    pairs = [replace(pair(n, {}, {}, stage=s), card=name) for s in ("aa", "ab") for n in numbers]
    return PairsJournal(head=HEAD, pairs=tuple(pairs), **more)


def test_pairs_of_all_cards_stand_in_the_order_of_their_numbers_each_once() -> None:
    one, two = card("GPU-1", 1, 3), card("GPU-2", 2, 4)
    both = merged({"one": one, "two": two})
    assert [(p.number, p.card) for p in both.of("ab")] == [
        (1, "GPU-1"),
        (2, "GPU-2"),
        (3, "GPU-1"),
        (4, "GPU-2"),
    ]
    assert len(both.of("aa")) == 4
    again = merged({"both": both, "one": one, "two": card("GPU-2", 2, 4, 6)})
    assert [p.number for p in again.of("ab")] == [1, 2, 3, 4, 6]


def test_two_cards_that_measured_a_pair_of_one_number_had_the_same_arrivals() -> None:
    with pytest.raises(BadInput, match=r"one and two both have a AA pair 1, .* --part 2/2"):
        merged({"one": card("GPU-1", 1), "two": card("GPU-2", 1)})


def test_cards_of_two_drivers_are_two_confirmations() -> None:
    older, newer = (replace(HEAD, driver=driver) for driver in ("575.2", "580.1"))
    one, two = replace(card("GPU-1", 1), head=older), replace(card("GPU-2", 2), head=newer)
    refusal = (
        "one with driver 575.2 and two with driver 580.1 are two confirmations; leave the other"
    )
    with pytest.raises(BadInput, match=refusal):
        merged({"one": one, "two": two})
    assert len(merged({"one": one, "old": card("GPU-2", 2)}).of("ab")) == 2  # it tells none


def test_the_worse_stress_counts_and_a_failure_on_any_card() -> None:
    tight = replace(STRESS, after_restart_mib=100.0)
    broken = replace(STRESS, failure=oom(), free_memory_mib=None, after_restart_mib=None)
    failed = FailedLaunch("winner", "main", oom())
    cards = [card("1", 1, stress=STRESS), card("2", 2, stress=tight), card("3", 3, failure=failed)]
    both = merged({str(n): c for n, c in enumerate(cards)})
    assert (both.stress, both.failure) == (tight, failed)
    worst = merged({"a": cards[1], "b": card("4", 4, stress=broken)})
    assert worst.stress == broken
    assert merged({"a": card("1", 1)}).stress is None


def test_what_was_left_out_and_begun_anew_is_kept_and_the_first_range_of_ramps() -> None:
    here, there = RampRange(0.5, 25.0), RampRange(0.6, 25.0)
    one = card("1", 1, left_out=("ab 1: late",), earlier=1, ramp_ranges={"main": here})
    two = card("2", 2, left_out=("ab 2: late",), ramp_ranges={"main": there, "trace": there})
    both = merged({"one": one, "two": two})
    assert both.left_out == ("ab 1: late", "ab 2: late")
    assert (both.earlier, both.ramp_ranges) == (1, {"main": here, "trace": there})


def test_parts_hold_every_pair_once() -> None:
    parts = [list(Part(n, 3).numbers(12)) for n in (1, 2, 3)]
    assert sorted(n for own in parts for n in own) == list(WHOLE.numbers(12)) == [*range(1, 13)]


@pytest.mark.parametrize("text", ["0/2", "3/2", "1/13", "1", "a/b", "1/2/3", "-1/2", ""])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no part"):
        Part.read(text)
