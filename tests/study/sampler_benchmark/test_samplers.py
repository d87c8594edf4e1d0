"""These tests show which samplers compete, and how each is told of what does not fit."""

import optuna
import pytest
from optuna.trial import TrialState
from processes.commands import needs

from objectives.errors import BadInput
from study.sampler_benchmark.problems.suites import problem
from study.sampler_benchmark.samplers import (
    RIVALS,
    SAMPLER_PACKAGES,
    contestant,
    hindrance,
    missing_for_sampler,
    telling,
)
from study.sampler_benchmark.trial_run import race
from study.tournament import TournamentSampler


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def require(name):
    for package, extra in SAMPLER_PACKAGES.get(name, ()):
        if extra != "rivals":
            needs(package, extra)
    if why := missing_for_sampler(name):  # the extra [rivals] is large, and CI goes without it
        pytest.skip(why)
    if name in ("gp", "autosampler"):
        import torch

        torch.set_num_threads(1)  # several would wait for each other on a loaded machine


def trials_of(name, made, n, *, batch=1):
    """Return the trials of a race, as the sampler saw them."""
    kept = []
    create = optuna.create_study

    def keep(**options):
        kept.append(create(**options))
        return kept[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optuna, "create_study", keep)
        run = race(made, name, batch=batch, budget=n)
    return run, kept[0].trials


@pytest.mark.parametrize("name", [n for n in RIVALS if n != "cmaes"])
@pytest.mark.parametrize("batch", [1, 5])
def test_every_sampler_runs_beside_a_cliff_without_a_warning(name, batch):
    require(name)
    n = 12 if name != "smac" else 4 + batch  # each of its proposals takes a fifth of a second
    run, trials = trials_of(name, problem("noisy-cliff", 1), n, batch=batch)
    assert len(trials) == n
    assert run.oom is not None
    assert not any(trial.state == TrialState.RUNNING for trial in trials)


@pytest.mark.parametrize("name", ["cmaes", "tpe4", "nevergrad", "ngopt", "hillclimb", "exhaustive"])
def test_the_same_seed_gives_the_same_run(name):
    require(name)
    first, again = (race(problem("mixed", 2), name, batch=5, budget=20) for _ in range(2))
    assert first.path == again.path
    assert first.path != race(problem("mixed", 3), name, batch=5, budget=20).path


@pytest.mark.parametrize(
    ("name", "state", "is_constrained"),
    [
        ("tpe", "PRUNED", True),
        ("tournament", "PRUNED", True),
        ("gp", "COMPLETE", True),
        ("nsga2", "COMPLETE", True),
    ],
)
def test_what_does_not_fit_is_told_so_that_the_sampler_hears_it(name, state, is_constrained):
    require(name)
    made = problem("cliff", 0)
    _, trials = trials_of(name, made, 11)
    failed = [t for t in trials if not made.outcome(made.key(t.params)).fits]
    assert failed
    for trial in failed:
        assert trial.state.name == state
        assert trial.constraints == {"memory": made.outcome(made.key(trial.params)).deficit}


def test_only_those_without_constraints_are_told_by_the_value_alone():
    assert [name for name in RIVALS if telling(name) == "value"] == ["cmaes", "smac"]


def test_what_is_told_as_complete_is_never_better_than_what_was_measured_by_then():
    made = problem("cliff", 2)
    _, trials = trials_of("nsga2", made, 30)
    worst = 1.0
    for number, trial in enumerate(trials):
        if made.outcome(made.key(trial.params)).fits:
            worst = trial.value if number == 0 else min(worst, trial.value)
        else:
            assert trial.value <= worst


def test_exhaustive_measures_every_cell_once_and_then_spreads_over_those_that_fit():
    made = problem("cliff", 1)
    run, trials = trials_of("exhaustive", made, 40)
    keys = [made.key(trial.params) for trial in trials]
    assert len(set(keys[:15])) == 15
    times = {key: keys.count(key) for key in keys}
    fits = [n for key, n in times.items() if made.outcome(key).fits]
    assert max(fits) - min(fits) <= 1
    assert run.oom_repeats == 0
    assert run.repeats == 0


def test_exhaustive_asks_for_no_cell_twice_within_a_batch():
    made = problem("smooth", 1)
    _, trials = trials_of("exhaustive", made, 30, batch=5)
    keys = [made.key(trial.params) for trial in trials]
    assert all(keys.count(key) == 2 for key in keys)


def test_hill_climbing_goes_on_from_the_best_neighbour_and_measures_nothing_twice():
    def around(at):
        share, model = at
        beside = {(share + step, model) for step in (-1, 1)} & set(keys)
        return beside | {(share, other) for other in range(3) if other != model}

    for seed in range(5):
        made = problem("smooth", seed)
        _, trials = trials_of("hillclimb", made, 15)
        keys = [made.key(trial.params) for trial in trials]
        assert len(set(keys)) == 15
        n = len(around(keys[0]))
        assert set(keys[1 : n + 1]) == around(keys[0])
        best = min(keys[: n + 1], key=made.regret)
        assert best == keys[0] or keys[n + 1] in around(best)


def test_hill_climbing_starts_elsewhere_once_nothing_around_is_better():
    made = problem("unstructured", 5)
    _, trials = trials_of("hillclimb", made, 15)
    assert {made.key(trial.params) for trial in trials} == {
        (float(i), float(j)) for i in range(5) for j in range(3)
    }


def test_the_tournament_alone_is_told_a_direction():
    directions = {"memory": {"share": -1, "speech": 0}}
    space = problem("cliffs", 0).space
    ours, theirs = (
        contestant(name, seed=0, space=space, budget=9, batch=1, monotone=directions)
        for name in ("tournament", "random")
    )
    assert isinstance(ours, TournamentSampler)
    assert ours.settings()["monotone"] == directions
    assert isinstance(theirs, optuna.samplers.RandomSampler)


def test_a_sampler_of_optunahub_says_how_it_is_fetched(monkeypatch, tmp_path):
    require("gp")
    needs("optunahub", "test")
    monkeypatch.setenv("OPTUNAHUB_CACHE_HOME", str(tmp_path))
    assert "optunahub.load_module('samplers/auto_sampler')" in missing_for_sampler("autosampler")
    package = tmp_path / "github.com/optuna/optunahub-registry/main/package/samplers/auto_sampler"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from optuna.samplers import TPESampler as AutoSampler\n")
    assert missing_for_sampler("autosampler") is None
    made = problem("smooth", 0)
    assert race(made, "autosampler", batch=1, budget=12).path == (
        race(made, "tpe", batch=1, budget=12).path
    )


def test_tpe_as_optuna_4_had_it_does_not_search_as_tpe_of_optuna_5_does():
    made = problem("mixed", 0)
    old, new = (trials_of(name, made, 20)[1] for name in ("tpe4", "tpe"))
    assert [t.params for t in old[:10]] == [t.params for t in new[:10]]  # both start at random
    assert [t.params for t in old[10:]] != [t.params for t in new[10:]]


def test_cmaes_takes_no_part_where_categories_leave_it_one_axis():
    assert "fewer than two numeric axes" in hindrance("cmaes", problem("smooth", 0).space)
    assert hindrance("cmaes", problem("mixed", 0).space) is None


@pytest.mark.parametrize("name", ["grid", "bruteforce"])
def test_listing_samplers_take_no_part_in_large_spaces(name):
    assert "5,760 configurations" in hindrance(name, problem("mixed", 0).space)
    assert hindrance(name, problem("smooth", 0).space) is None


def test_a_continuous_axis_cannot_be_listed():
    needs("cocoex", "bench")
    assert "cannot be listed" in hindrance("exhaustive", problem("bbob-mixint", 0).space)


def test_an_unknown_sampler_is_answered_with_the_known_ones():
    with pytest.raises(
        BadInput, match=r"^unknown sampler 'tpee'; choose tournament, .* or exhaustive$"
    ):
        contestant("tpee", seed=0, space={}, budget=1, batch=1)


def test_a_sampler_without_its_package_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert missing_for_sampler("nevergrad").endswith(
        "needs nevergrad; python -m pip install -e '.[bench]'"
    )
    assert missing_for_sampler("tpe") is None
