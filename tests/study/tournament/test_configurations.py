"""These tests draw and compare configurations: edges of ranges, equal values, huge spaces."""

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from study.tournament.configurations import Archive, all_configurations, children, fits, heirs, size

HUGE = {"x": IntDistribution(0, 2**60 - 1), "y": IntDistribution(1, 2**62, log=True)}


def test_a_huge_integer_stays_in_its_range():
    rng = np.random.default_rng(0)
    config = {name: distribution.high for name, distribution in HUGE.items()}
    family = [type("Parent", (), {"params": config})]
    for _ in range(200):
        drawn = next(children(family, HUGE, rng))
        assert all(
            distribution.low <= drawn[name] <= distribution.high
            for name, distribution in HUGE.items()
        )
    assert next(heirs(family, HUGE, rng)) == config


def test_more_configurations_than_a_float_can_count_are_endless():
    many = {f"i{k}": IntDistribution(0, 10**6) for k in range(60)}
    assert size(many) == size({**many, "real": FloatDistribution(0, 1)}) == np.inf
    assert size({"x": IntDistribution(1, 5), "y": CategoricalDistribution("abc")}) == 15


@pytest.mark.parametrize(
    ("low", "high", "step"), [(-0.3, 0.3, 0.1), (-1.0, 1.0, 0.5), (-0.7, 0.7, 0.07)]
)
def test_a_zero_inside_a_range_is_zero(low, high, step):
    values = [
        config["x"] for config in all_configurations({"x": FloatDistribution(low, high, step=step)})
    ]
    assert 0.0 in values


def test_minus_zero_is_zero():
    assert {"x": 0.0} in Archive([{"x": -0.0}])
    assert {"x": -0.0} in Archive([{"x": 0}])


def test_a_configuration_fits_by_the_values_that_it_has():
    space = {"x": IntDistribution(1, 5), "y": CategoricalDistribution([1, "a", float("nan")])}
    assert all(
        fits(space, config)
        for config in ({}, {"x": 5}, {"x": 1, "y": "a"}, {"y": float("nan"), "z": 0})
    )
    assert not any(fits(space, config) for config in ({"x": 6}, {"y": True}, {"x": 1, "y": "b"}))


@pytest.mark.parametrize("seed", range(5))
def test_every_draw_of_every_kind_is_in_its_range(seed):
    rng = np.random.default_rng(seed)
    space = {
        "step": FloatDistribution(-0.3, 0.45, step=0.05),
        "real": FloatDistribution(-1e-9, 1e9),
        "log": FloatDistribution(1e-12, 1e12, log=True),
        "one": FloatDistribution(0.1, 0.1),
        "int": IntDistribution(-7, 8, step=3),
        "wide": IntDistribution(-1000, 995, step=7),
        "int log": IntDistribution(1, 9, log=True),
        "flag": CategoricalDistribution([True, None, 0.5, "x", 7]),
    }
    family = []
    for _ in range(300):
        drawn = next(children(family, space, rng))
        assert drawn.keys() == space.keys()
        assert fits(space, drawn)
        family = [type("Parent", (), {"params": drawn})]
