"""Checks what figures are worth."""

import math

import pytest

from objectives.figures import Direction
from study.dream.experiments.model import Goal
from study.dream.generic.figures import canonical, fitness, flattened, missing, numbers

UP = Goal("score", "quality", Direction.UP, 0.3)
DOWN = Goal("ms", "quality", Direction.DOWN, 0.3)
TARGET = Goal("use", "use", Direction.NEUTRAL, 1.0, target=70.0)
NEUTRAL = Goal("note", "note", Direction.NEUTRAL, 5.0)
REFERENCE = {"score": 0.5, "ms": 200.0, "use": 90.0, "note": 1.0}


def test_milliseconds_do_not_drown_a_share() -> None:
    both = fitness({**REFERENCE, "score": 0.6, "ms": 220.0}, REFERENCE, [UP, DOWN])
    assert both == pytest.approx((0.2 - 0.1) / 2)


def test_the_reference_is_worth_0() -> None:
    assert fitness(REFERENCE, REFERENCE, [UP, DOWN, TARGET, NEUTRAL]) == 0.0


def test_neutral_has_no_weight_without_a_target() -> None:
    far = {**REFERENCE, "note": 1e9}
    assert fitness(far, REFERENCE, [UP, NEUTRAL]) == 0.0
    assert fitness({**REFERENCE, "use": 70.0}, REFERENCE, [TARGET]) > 0


def test_a_reference_of_0_counts_by_the_difference() -> None:
    errors = Goal("errors", "errors", Direction.DOWN, 1.0)
    assert fitness({"errors": 2.0}, {"errors": 0.0}, [errors]) == -2.0


def test_figures_of_one_name_are_averaged_in_the_file() -> None:
    assert canonical({"score": 1, "ms": 3, "s": "x"}, [UP, DOWN])["quality"] == 2.0


def test_what_is_no_finite_number_is_missing() -> None:
    figures = {"score": math.nan, "ms": "3", "use": None}
    assert missing(figures, [UP, DOWN, TARGET]) == ["score", "ms", "use"]
    assert numbers({"score": True}, [UP]) == {"score": 1.0}


def test_only_one_level_is_flattened_and_the_outer_name_wins() -> None:
    result = {"a": 1, "metrics": {"a": 2, "b": {"c": 3}}, "components": {"d": 4}, "other": {"e": 5}}
    assert flattened(result) == {"a": 1, "other": {"e": 5}, "d": 4, "b": {"c": 3}}
    assert flattened({"metrics": 3}) == {"metrics": 3}
