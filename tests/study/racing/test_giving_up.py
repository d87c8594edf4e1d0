"""A candidate under way is given up only where nothing that it lacks could let it win."""

from dataclasses import replace
from statistics import fmean

import pytest
from simulations import races as simulated

from study.racing.giving_up import Candidate, Leader, Noise, is_dominated, noise_of

LEADER = Leader(fitness=0.60, others=0.30, segments=(0.30,) * 6, launches=1)
LAUNCHES = [
    [0.30, 0.31, 0.29, 0.30, 0.31, 0.29],
    [0.28, 0.31, 0.28, 0.31, 0.29, 0.29],
    [0.30, 0.30, 0.31, 0.29, 0.30, 0.30],
]


def known(launches):
    noise = noise_of(launches, (0.0, 0))
    assert noise is not None
    return noise


NOISE = known(LAUNCHES)
WORSE = Candidate(fitness=0.45, others=0.30, segments=(0.15, 0.15))


def test_a_candidate_that_is_worse_in_every_segment_is_given_up_at_the_second():
    assert is_dominated(WORSE, LEADER, NOISE)
    assert not is_dominated(replace(WORSE, segments=(0.15,)), LEADER, NOISE)


def test_what_is_not_measured_may_make_up_for_all_that_is():
    """Its latency is as poor, and its capacity is not known: that is worth as much."""
    assert not is_dominated(replace(WORSE, others=0.46, fitness=0.61), LEADER, NOISE)


def test_segments_alone_do_not_decide_while_the_whole_window_could_still_win():
    """The p95 of a window is not the mean of its segments': what it can become counts too."""
    assert not is_dominated(replace(WORSE, fitness=0.60), LEADER, NOISE)


def test_what_noise_explains_decides_nothing():
    assert not is_dominated(replace(WORSE, segments=(0.30, 0.29)), LEADER, NOISE)


def test_a_ramp_alone_must_be_clear_of_the_noise_of_both_launches():
    poor = Candidate(fitness=0.40, others=0.10)
    near = Candidate(fitness=0.59, others=0.29)
    assert is_dominated(poor, LEADER, NOISE)
    assert not is_dominated(near, LEADER, NOISE)


def test_more_launches_of_the_leader_bring_its_bound_closer():
    noise = Noise(segment=1e-6, launch=1e-4, freedom=10)
    near = Candidate(fitness=0.54, others=0.30, segments=(0.255,) * 6)
    assert not is_dominated(near, LEADER, noise)
    assert is_dominated(near, replace(LEADER, launches=50), noise)


@pytest.mark.parametrize("launches", [[], LAUNCHES[:1], [[0.3], [0.2], [0.1]], [[], []]])
def test_no_noise_is_known_before_two_launches_of_two_segments(launches):
    assert noise_of(launches, (0.0, 0)) is None


def test_launches_that_agree_to_the_digit_show_no_noise():
    assert noise_of([[0.3, 0.3], [0.3, 0.3]], (0.0, 0)) is None


def test_what_launches_of_one_configuration_differ_by_counts_where_it_is_more():
    assert NOISE.freedom == 10
    assert noise_of(LAUNCHES, (0.01, 5)).launch == 0.01
    assert noise_of(LAUNCHES, (1e-9, 5)).launch == NOISE.launch > 1e-9


@pytest.mark.parametrize("family", simulated.FAMILIES)
def test_simulated_studies_save_time_and_keep_their_best(family):
    """The figures of study/guides/sampler.md, which are of 2,000 studies each, from 60."""
    races = [simulated.race(seed, family, is_dominated) for seed in range(60)]
    least = {"near": 0.005, "usual": 0.08, "walls": 0.08}[family.__name__]
    assert sum(r.is_best_pruned for r in races) == 0
    assert fmean(r.saved for r in races) > least
    whole = [simulated.race(seed, family, simulated.never) for seed in range(20)]
    assert fmean(r.regret for r in races[:20]) == pytest.approx(fmean(r.regret for r in whole))
