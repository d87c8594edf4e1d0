"""These tests hold a contest: how many seeds run, how it goes on, and that nothing is mixed."""

import json
from dataclasses import replace

import optuna
import pytest
from made.factories import run_of

from objectives.errors import BadInput, SetupError
from study.sampler_benchmark import benchmark as module
from study.sampler_benchmark.benchmark import hold
from study.sampler_benchmark.contest import Contest, entered
from study.sampler_benchmark.journal import RunJournal
from study.sampler_benchmark.problems.suites import PROBLEMS
from study.sampler_benchmark.samplers import RIVALS, SAMPLER_PACKAGES

SMALL = Contest(
    samplers=("random", "exhaustive"), problems=("smooth", "noisy-cliff"), batches=(1, 5), seeds=3
)


def silent(n, what):
    pass


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(module, "SMALL_BUDGET", 10)


def test_slow_samplers_and_suites_have_fewer_seeds_but_at_least_five():
    many = Contest(samplers=RIVALS, problems=PROBLEMS, batches=(1, 5), seeds=200)
    counts = {
        (p, s): len(many.seeds_of(p, s))
        for p in ("smooth", "mixed", "hpolib")
        for s in ("tpe", "nevergrad", "gp")
    }
    assert counts["smooth", "tpe"] == counts["mixed", "tpe"] == 200
    assert counts["smooth", "nevergrad"] == counts["hpolib", "tpe"] == 50
    assert (counts["smooth", "gp"], counts["mixed", "gp"], counts["hpolib", "gp"]) == (10, 5, 5)
    assert len(replace(many, seeds=2).seeds_of("hpolib", "gp")) == 2


def test_what_makes_no_sense_is_left_out_with_the_reason():
    contest = Contest(
        samplers=("cmaes", "grid", "random"), problems=("smooth", "mixed"), batches=(1,), seeds=1
    )
    assert set(contest.runs()) == {
        ("smooth", "grid", 1, 0),
        ("smooth", "random", 1, 0),
        ("mixed", "cmaes", 1, 0),
        ("mixed", "random", 1, 0),
    }
    cmaes, grid = sorted(contest.left_out())
    assert cmaes.startswith("cmaes takes no part in smooth: ")
    assert grid.startswith("grid takes no part in mixed: ")


def test_every_run_is_made_once_with_one_process_or_two(tmp_path):
    one = hold(SMALL, RunJournal(tmp_path / "one"), jobs=1, ended=silent)
    two = hold(SMALL, RunJournal(tmp_path / "two"), jobs=2, ended=silent)
    key = "problem", "sampler", "batch", "seed"
    assert len(one) == 2 * 2 * 2 * 3
    assert {tuple(getattr(r, k) for k in key) for r in one} == {
        tuple(getattr(r, k) for k in key) for r in two
    }


def test_a_stopped_contest_goes_on_where_it_was(tmp_path, monkeypatch):
    calls = []
    race = module.race

    def interrupted(made, name, **rest):
        calls.append((made.name, name, rest["batch"], made.seed))
        if len(calls) == 7:
            raise KeyboardInterrupt
        return race(made, name, **rest)

    monkeypatch.setattr(module, "race", interrupted)
    with pytest.raises(KeyboardInterrupt):
        hold(SMALL, RunJournal(tmp_path), jobs=1, ended=silent)
    held = len(RunJournal(tmp_path).runs)
    assert held == 6
    counts = []
    runs = hold(SMALL, RunJournal(tmp_path), jobs=1, ended=lambda n, what: counts.append(n))
    assert counts[0] == held
    assert len(runs) == 24
    assert len(calls) == 7 + 24 - held
    assert [r.path for r in RunJournal(tmp_path).runs] == [r.path for r in runs]


def test_a_line_that_was_torn_is_made_again(tmp_path):
    hold(SMALL, RunJournal(tmp_path), jobs=1, ended=silent)
    file = tmp_path / "runs.jsonl"
    file.write_text(file.read_text()[:-40])
    assert len(RunJournal(tmp_path).runs) == 23
    assert len(hold(SMALL, RunJournal(tmp_path), jobs=1, ended=silent)) == 24
    assert all(json.loads(line) for line in file.read_text().splitlines())


def test_more_seeds_are_added_to_those_that_were_run(tmp_path):
    hold(SMALL, RunJournal(tmp_path), jobs=1, ended=silent)
    counts = []
    runs = hold(
        replace(SMALL, seeds=5),
        RunJournal(tmp_path),
        jobs=1,
        ended=lambda n, what: counts.append(n),
    )
    assert counts[0] == 24
    assert len(runs) == 40


def test_runs_of_another_version_are_not_mixed_in(tmp_path, monkeypatch):
    RunJournal(tmp_path).add([run_of()])
    monkeypatch.setattr(optuna, "__version__", "4.9.0")
    monkeypatch.setattr("importlib.metadata.version", lambda _: "0.0")
    with pytest.raises(
        BadInput, match=r"was made under other conditions: versions; name another --out$"
    ):
        RunJournal(tmp_path)


def test_a_file_that_holds_no_runs_is_refused(tmp_path):
    (tmp_path / "runs.jsonl").write_text("not a journal\n")
    with pytest.raises(BadInput, match=r"runs\.jsonl holds no runs"):
        RunJournal(tmp_path)


def test_a_run_is_read_back_as_it_was_written(tmp_path):
    from study.sampler_benchmark.trial_run import Named

    run = run_of(found=None, oom=2, oom_repeats=1, named={10: Named(0.5, None)})
    RunJournal(tmp_path).add([run])
    assert RunJournal(tmp_path).runs == [run]


def test_by_default_all_that_can_be_had_here_takes_part(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "matplotlib" or None)
    contest, notes = entered(None, None, seeds=1)
    assert set(contest.samplers) == set(RIVALS) - set(SAMPLER_PACKAGES)
    assert not {"bbob-mixint", "noisy-mixed", "matern"} & set(contest.problems)
    assert len(notes) == len(SAMPLER_PACKAGES) + 4
    assert all("pip install" in note for note in notes)


def test_what_is_asked_for_by_name_and_not_installed_is_refused(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "matplotlib" or None)
    with pytest.raises(SetupError, match="sampler 'gp' needs torch"):
        entered(["gp"], ["smooth"], seeds=1)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(SetupError, match="figures need matplotlib"):
        entered(["tpe"], ["smooth"], seeds=1)


def test_runs_to_the_target_and_whole_ones_do_not_share_a_journal(tmp_path):
    RunJournal(tmp_path, to_target=True).add([run_of(to_target=True)])
    assert RunJournal(tmp_path, to_target=True).runs[0].to_target
    with pytest.raises(BadInput, match="under other conditions: to_target; name another --out"):
        RunJournal(tmp_path)


def test_a_contest_to_the_target_ends_each_run_there(tmp_path):
    contest = replace(SMALL, problems=("smooth",), to_target=True)
    runs = hold(contest, RunJournal(tmp_path, to_target=True), jobs=1, ended=silent)
    assert all(run.to_target for run in runs)
    assert all(run.path[-1] == (run.found, 0.0) for run in runs if run.found)


def test_many_at_a_time_have_rounds_that_know_of_the_first():
    assert module.budget_of("mixed", 1) == 100
    assert module.budget_of("mixed", 128) == 3 * 128


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(BadInput, match=r"unknown problem 'smoth'; choose of smooth, ridge, "):
        entered(["tpe"], ["smoth"], seeds=1)


def test_a_comparison_in_which_nobody_can_take_part_is_refused(tmp_path):
    contest = Contest(samplers=("cmaes",), problems=("smooth",), batches=(1,), seeds=2)
    with pytest.raises(BadInput, match=r"none of this can be run: cmaes takes no part in smooth"):
        hold(contest, RunJournal(tmp_path), jobs=1, ended=lambda *_: None)


def test_an_empty_journal_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "runs.jsonl").write_text("")
    with pytest.raises(BadInput, match="holds no runs"):
        RunJournal(tmp_path)
