"""These tests check what runs say: misses count, intervals are over seeds, ties are ties."""

import numpy as np
import pytest
from made.factories import run_of

from study.analysis.noise import holm
from study.sampler_benchmark.figures import FIGURES
from study.sampler_benchmark.problems.problem import Problem, Truth
from study.sampler_benchmark.problems.suites import problem
from study.sampler_benchmark.statistics import (
    curve,
    estimates,
    figures_of_run,
    paired_p,
    ratios,
    share_interval,
)
from study.sampler_benchmark.trial_run import CHECKPOINTS, Named, race


def of(results, figure, sampler="tournament"):
    return next(e for e in results if (e.figure, e.sampler) == (figure, sampler))


def test_the_table_knows_every_figure_that_a_run_has():
    named = {at: Named(0.0, 0.0) for at in CHECKPOINTS}
    run = run_of(budget=100, oom=1, oom_repeats=1, repeats=1, named=named)
    assert figures_of_run(run).keys() == FIGURES.keys()


def test_a_miss_counts_as_one_trial_more_than_the_budget():
    results = estimates([run_of(seed=0, found=10), run_of(seed=1, found=None)])
    assert of(results, "trials_to_target").value == (10 + 41) / 2
    assert of(results, "missed").value == 0.5


def test_regret_is_that_of_the_best_among_the_first_trials():
    run = run_of(found=16, budget=25)
    assert [figures_of_run(run)[f"regret_{at}"] for at in (15, 25)] == [1.0, 0.0]
    assert "regret_40" not in figures_of_run(run)


def test_a_figure_that_was_not_measured_is_absent_and_not_0():
    assert "oom" not in figures_of_run(run_of())
    assert figures_of_run(run_of(oom=3, oom_repeats=0))["oom_repeats"] == 0


def test_the_best_is_named_where_the_regret_of_the_named_is_0():
    named = {40: Named(best_trial=0.2, recommend=0.0)}
    figures = figures_of_run(run_of(named=named))
    assert (figures["best_trial_named_40"], figures["recommend_named_40"]) == (0.0, 1.0)
    assert figures_of_run(run_of(named={40: Named(None, None)}))["recommend_named_40"] == 0.0


def test_one_seed_has_no_interval():
    alone = of(estimates([run_of()]), "trials_to_target")
    assert (alone.n, alone.low, alone.high) == (1, None, None)


def test_a_share_that_all_seeds_agree_on_has_an_interval_all_the_same():
    share, low, high = share_interval([0.0] * 50)
    assert share == low == 0
    assert 0.05 < high < 0.1


def test_an_interval_holds_the_truth_in_95_of_100_studies():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        runs = [run_of(seed=s, found=int(n)) for s, n in enumerate(rng.integers(1, 20, 30))]
        e = of(estimates(runs), "trials_to_target")
        held += e.low <= 10 <= e.high
    assert 0.92 <= held / 400 <= 0.98


def rivals(gap, noise, n=30):
    rng = np.random.default_rng(1)
    ours = [run_of(seed=s, found=10) for s in range(n)]
    theirs = [
        run_of(sampler="tpe", seed=s, found=round(10 + gap + noise * rng.normal()))
        for s in range(n)
    ]
    return [*ours, *theirs]


@pytest.mark.parametrize(
    ("gap", "noise", "verdict"),
    [(5, 1, "worse"), (-5, 1, "better"), (0.2, 4, "tie"), (0, 0, "tie")],
)
def test_a_difference_within_the_noise_of_the_seeds_is_a_tie(gap, noise, verdict):
    assert of(estimates(rivals(gap, noise)), "trials_to_target", "tpe").verdict == verdict


def test_more_of_what_should_be_large_is_better():
    right, wrong = {40: Named(0.0, 0.0)}, {40: Named(1.0, 1.0)}
    ours = [run_of(seed=s, named=right if s % 2 else wrong) for s in range(40)]
    theirs = [run_of(sampler="tpe", seed=s, named=right) for s in range(40)]
    assert of(estimates([*ours, *theirs]), "recommend_named_40", "tpe").verdict == "better"


def test_only_seeds_that_both_have_run_are_compared():
    assert paired_p({0: 1.0, 1: 1.0, 2: 1.0}, {5: 9.0, 6: 8.0}) == 1.0
    assert paired_p(dict.fromkeys(range(20), 1.0), dict.fromkeys(range(20), 2.0)) == 0.0


def test_more_rivals_ask_for_stronger_evidence():
    assert holm([0.02]) == [0.02]
    assert holm([0.02, 0.9, 0.9])[0] == pytest.approx(0.06)


def test_the_ratio_is_of_means_on_common_seeds_with_an_interval():
    runs = [run_of(seed=s, found=4 + s % 3) for s in range(40)]
    runs += [run_of(sampler="tpe", seed=s, found=8 + 2 * (s % 3)) for s in range(60)]
    (ratio,) = ratios(runs)
    assert (ratio.figure, ratio.n, ratio.value) == ("trials_x_tpe", 40, 0.5)
    assert 0.49 < ratio.low <= 0.5 <= ratio.high < 0.51


def test_tables_with_structure_are_a_group_only_where_all_of_them_were_run():
    some = [
        run_of(p, who, s)
        for p in ("smooth", "ridge")
        for who in ("tournament", "tpe")
        for s in range(3)
    ]
    assert {e.problem for e in ratios(some)} == {"smooth", "ridge"}
    rest = [run_of("cliff", who, s) for who in ("tournament", "tpe") for s in range(3)]
    assert next(e for e in ratios([*some, *rest]) if e.problem == "tables with structure").n == 9


def test_the_curve_starts_at_the_first_trial_and_never_rises():
    trials, mean, low, high = curve([run_of(seed=s, found=5 + s) for s in range(10)])
    assert (trials[0], trials[-1], len(mean)) == (1, 40, 40)
    assert (np.diff(mean) <= 0).all()
    assert (low <= mean).all() and (mean <= high).all()


def test_a_race_counts_trials_repeats_and_what_does_not_fit(monkeypatch):
    import optuna

    from study.sampler_benchmark import trial_run as module

    made = problem("cliff", 0)
    cells = [(i / 20 + 0.3, speech) for i in range(5) for speech in ("tiny", "base", "small")]
    fits = [
        c for c in cells if made.outcome(made.key({"share": round(c[0], 2), "speech": c[1]})).fits
    ]
    fails = [c for c in cells if c not in fits]
    best = next(
        c for c in fits if made.regret(made.key({"share": round(c[0], 2), "speech": c[1]})) == 0
    )
    other = next(c for c in fits if c != best)
    script = [fails[0], other, fails[0], other, best, best]

    class Scripted(optuna.samplers.RandomSampler):
        def sample_independent(self, study, trial, param_name, param_distribution):
            share, speech = script[trial.number]
            return round(share, 2) if param_name == "share" else speech

    monkeypatch.setattr(module, "contestant", lambda *_, **__: Scripted())
    run = race(made, "tpe", batch=2, budget=6)
    assert (run.found, run.repeats, run.oom, run.oom_repeats) == (5, 3, 2, 1)
    assert run.path[0] == (0, round(made.regret_of(made.worst), 6))
    assert run.path[-1] == (5, 0.0)


def test_two_samplers_that_measure_the_same_cell_see_the_same_numbers(monkeypatch):
    import optuna

    seen = {}
    for name in ("tpe", "random"):
        kept = []
        create = optuna.create_study
        monkeypatch.setattr(
            optuna,
            "create_study",
            lambda create=create, kept=kept, **o: kept.append(create(**o)) or kept[-1],
        )
        race(problem("noisy-smooth", 3), name, batch=1, budget=30)
        monkeypatch.undo()
        for trial in kept[0].trials:
            seen.setdefault(tuple(trial.params.values()), {}).setdefault(name, []).append(
                trial.value
            )
    both = [by_name for by_name in seen.values() if len(by_name) == 2]
    assert len(both) > 5
    for by_name in both:
        k = min(map(len, by_name.values()))
        assert by_name["tpe"][:k] == by_name["random"][:k]


def test_nothing_is_named_while_nothing_fits(monkeypatch):
    from study.sampler_benchmark import trial_run as module

    made = problem("cliff", 0)
    nothing = Problem(
        **{f: getattr(made, f) for f in made.__slots__}
        | {"outcome": lambda _: Truth(float("nan"), 0.1)}
    )
    run = module.race(nothing, "exhaustive", batch=5, budget=15)
    assert run.named == {15: Named(None, None)}
    assert (run.found, run.oom) == (None, 15)


@pytest.mark.parametrize("batch", [1, 5])
def test_a_run_to_its_target_is_the_beginning_of_the_whole_one_and_tells_no_more(batch):
    made = problem("noisy-cliff", 2)
    whole, cut = (
        race(made, "exhaustive", batch=batch, budget=40, to_target=to) for to in (False, True)
    )
    assert (cut.found, cut.path) == (whole.found, whole.path)
    assert set(figures_of_run(cut)) == {"trials_to_target", "missed"}
    assert set(figures_of_run(cut)) < set(figures_of_run(whole))


@pytest.mark.parametrize(("name", "named_by"), [("cliffs", "all"), ("failures-only", "failures")])
def test_what_fits_names_the_constraint_unless_the_problem_is_silent(monkeypatch, name, named_by):
    import optuna

    kept = []
    create = optuna.create_study
    monkeypatch.setattr(optuna, "create_study", lambda **o: kept.append(create(**o)) or kept[-1])
    race(problem(name, 1), "exhaustive", batch=1, budget=15)
    names = {trial.state.name: bool(trial.constraints) for trial in kept[0].trials}
    assert names == {"COMPLETE": named_by == "all", "PRUNED": True}


@pytest.mark.parametrize("sampler", ["random", "exhaustive"])
def test_with_noise_a_smoothed_mean_names_the_best_more_often_than_the_luckiest_trial(sampler):
    runs = [race(problem("noisy-smooth", seed), sampler, batch=1, budget=40) for seed in range(30)]
    results = estimates(runs)
    assert (
        of(results, "recommend_named_40", sampler).value
        >= of(results, "best_trial_named_40", sampler).value
    )
