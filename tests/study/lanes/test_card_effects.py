"""Cards are compared by the baseline that each measured, against the noise of launches."""

from dataclasses import replace

import numpy as np
import pytest
from configurations import launched
from factories import measurement

from study.lanes.card_effects import card_effects, cards_in_words

NOISE = 0.02


def trials(*cards, rng=None, effect=0.0, others=4):
    """Return launches of the baseline on these cards, in order, and of what else the first has."""
    rng = rng or np.random.default_rng(0)
    made = []
    rows = launched(0, [measurement()] * len(cards)).measured
    for row, card in zip(rows, cards, strict=True):
        fitness = 0.6 + (effect if card != cards[0] else 0.0) + rng.normal(0.0, NOISE)
        here = row.measurement.on_device(card)
        made.append(replace(row, fitness=fitness, measurement=here, is_reference=not made))
    for number in range(1, others + 1):
        for row in launched(number, [measurement()] * 2).measured:
            here = row.measurement.on_device(cards[0])
            made.append(replace(row, fitness=0.5 + rng.normal(0.0, NOISE), measurement=here))
    return made, made[0].allocation


def test_the_interval_of_a_difference_holds_the_truth_95_times_in_100():
    held = []
    for seed in range(400):
        rows, baseline = trials("GPU-a", "GPU-b", rng=np.random.default_rng(seed), effect=0.08)
        _, other = card_effects(rows, baseline)
        held.append(other.interval[0] <= 0.08 <= other.interval[1])
    assert 0.92 <= np.mean(held) <= 0.98


@pytest.mark.parametrize(("effect", "exceeds"), [(0.0, 0.05), (0.15, 0.95)])
def test_equal_cards_are_rarely_said_to_differ_and_others_nearly_always(effect, exceeds):
    said = []
    for seed in range(200):
        rows, baseline = trials("GPU-a", "GPU-b", rng=np.random.default_rng(seed), effect=effect)
        said.append(card_effects(rows, baseline)[1].exceeds_noise)
    assert abs(np.mean(said) - exceeds) <= 0.05


def test_the_card_of_the_reference_comes_first_and_each_counts_its_launches():
    rows, baseline = trials("GPU-b-1", "GPU-a-1", "GPU-a-1")
    first, second = card_effects(rows, baseline)
    assert (first.card, first.launches, first.difference) == ("GPU-b-1", 9, None)
    assert (second.card, second.launches) == ("GPU-a-1", 2)
    text, other = cards_in_words([first, second])
    assert text.startswith("GPU-b measured 9 launches; the baseline scored 0.6")
    assert "than on GPU-b (95 % interval" in other


def test_without_anything_measured_twice_on_a_card_nobody_knows_the_noise():
    rows, baseline = trials("GPU-a", "GPU-b", others=0)
    effects = card_effects(rows, baseline)
    assert effects[1].interval is None and effects[1].exceeds_noise is None
    assert "that may be noise" in cards_in_words(effects)[1]


def test_a_card_without_the_baseline_says_so_and_one_card_says_nothing():
    rows, baseline = trials("GPU-a", "GPU-b")
    other = replace(rows[1], allocation=rows[-1].allocation)
    assert (
        "the baseline not among them" in cards_in_words(card_effects([rows[0], other], baseline))[1]
    )
    assert cards_in_words(card_effects(rows[:1], baseline)) == []
    assert card_effects([], baseline) == []
