"""Checks the real command on a recording: its files and exit codes, resuming and refusing."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from importlib.resources import files as files_of_package
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from made.factories import (
    BEST,
    HELD_BACK,
    SPEC,
    Outcome,
    cell,
    changed,
    make,
    measurement,
    oom,
    roomy,
    write_spec,
)
from made.studies import Shared, copied
from processes.commands import run_study

from objectives.allocation import Allocation
from objectives.fit.cell import Cell
from objectives.fit.fits import Fits
from objectives.measurement import Measurement
from objectives.traffic.workload import Workload
from study.cli.before_run.dry_run_text import forecast_in_words
from study.confirmation.pairs.time_needed import until_looks_s
from study.report.headline import how_sure
from study.report.summary import summary
from study.search.dry_run import Forecast, forecast
from study.search.expected_time import expected_trial_s, guess_s
from study.spec.load import load
from study.spec.model import Spec
from study.spec.setting import setting_of
from study.storage.attributes import IDENTITY
from study.storage.comparability import differing_names
from study.storage.trial import NOT_SHOWN

ONE_SIZE = {"vllm_memory_util": [0.45, 0.5, 0.55], "whisper_model_size": ["base"]}


@pytest.fixture(scope="module")
def finished(shared: Shared) -> tuple[Path, str]:
    """Return a folder with a spec and a study that has ended, and what the command printed."""
    folder = shared.finished()
    return folder, (folder / "said.txt").read_text()


@pytest.fixture
def place(finished: tuple[Path, str], tmp_path: Path) -> tuple[Path, Path]:
    """Return the spec and the --out of a copy of the finished study."""
    copied(finished[0], tmp_path / "copy")
    return tmp_path / "copy" / "spec.yaml", tmp_path / "copy" / "out"


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def promotions(out: Path) -> list[dict[str, Any]]:
    return [yaml.safe_load(p.read_text()) for p in sorted(out.rglob("promotions/*.yaml"))]


def metrics(out: Path, epoch: int) -> list[dict[str, Any]]:
    text = (out / "made" / f"epoch_{epoch}" / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def parameters(line: dict[str, Any]) -> dict[str, Any]:
    return {name: line[name] for name in SPEC["baseline"]}


def study(out: Path, name: str = "made-tournament-0") -> optuna.Study:
    return optuna.load_study(study_name=name, storage=f"sqlite:///{out}/made/study.db")


def names(out: Path) -> set[str]:
    return set(optuna.get_all_study_names(f"sqlite:///{out}/made/study.db"))


def test_a_replay_says_first_that_its_numbers_are_from_elsewhere(
    finished: tuple[Path, str],
) -> None:
    first, second, *_ = finished[1].splitlines()
    assert first.startswith(
        "These numbers were not measured on this machine: they were measured on Made-up card"
    )
    assert "vllm 0.26.0" in first and "2026-11-20" in first
    assert "README" in second and "recording: made.jsonl, format 2" in finished[1]


def test_a_replay_ends_with_a_promotion_that_can_never_be_applied(
    finished: tuple[Path, str],
) -> None:
    out = finished[0] / "out"
    assert [p.parent for p in out.rglob("*.yaml")] == [out / "made" / "promotions"]
    (promotion,) = promotions(out)
    assert (promotion["schema"], promotion["status"], promotion["measured_elsewhere"]) == (
        2,
        "replay",
        True,
    )
    assert promotion["parameters"] == BEST
    assert "Scored higher, but held back: 55 % + tiny: the clips" in finished[1]


def test_every_trial_has_one_line_of_metrics(finished: tuple[Path, str]) -> None:
    lines = metrics(finished[0] / "out", 1)
    assert len({line["test_id"] for line in lines}) == len(lines) == 10
    first = lines[0]
    assert (first["trial"], parameters(first)) == (0, SPEC["baseline"])
    assert list(first)[:4] == ["test_id", "status", "vllm_memory_util", "whisper_model_size"]
    assert not any(isinstance(value, dict | list) for line in lines for value in line.values())
    pruned = [line for line in lines if line["status"] == "pruned"]
    assert {line["vllm_memory_util"] for line in pruned} == {0.6}
    assert all(line["fitness"] == 0.0 and line["failure_class"] == "oom_budget" for line in pruned)
    assert all(0 < line["fitness"] < 1 for line in lines if line["status"] == "complete")


def test_run_again_it_measures_nothing_and_promotes_no_second_time(
    place: tuple[Path, Path],
) -> None:
    before = files(place[1])
    ran = run_study(place[0], "--out", place[1])
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "every one of the 10 configurations is measured" in ran.stdout
    after = files(place[1])
    assert {k for k in before | after if before.get(k) != after.get(k)} == {"made/runner.log"}


def test_a_promotion_that_a_killed_run_still_owes_is_written_by_the_next(
    place: tuple[Path, Path],
) -> None:
    shutil.rmtree(place[1] / "made" / "promotions")
    study(place[1]).set_user_attr("promoted", None)
    assert run_study(place[0], "--out", place[1]).returncode == 0
    assert [p["parameters"] for p in promotions(place[1])] == [BEST]


def test_n_trials_counts_over_all_runs_and_may_be_less_than_a_batch(tmp_path: Path) -> None:
    spec = make(tmp_path)
    for n, expected in ((2, [0, 1]), (3, [0, 1, 2]), (1, [0, 1, 2])):
        ran = run_study(spec, "--out", tmp_path / "out", "--n-trials", n)
        assert ran.returncode == 0
        assert f"the budget of {n} trials is used" in ran.stdout
        assert [t.number for t in study(tmp_path / "out").trials] == expected


def test_fresh_opens_a_second_study_and_deletes_nothing(place: tuple[Path, Path]) -> None:
    before = [t.params for t in study(place[1]).trials]
    assert run_study(place[0], "--out", place[1], "--fresh", "--n-trials", 1).returncode == 0
    assert names(place[1]) == {"made-tournament-0", "made-tournament-0-2"}
    assert [t.params for t in study(place[1]).trials] == before
    assert len(study(place[1], "made-tournament-0-2").trials) == 1
    assert (
        "study made-tournament-0-2,"
        in run_study(place[0], "--out", place[1], "--n-trials", 1).stdout
    )


def test_a_dry_run_writes_nothing_at_all(tmp_path: Path) -> None:
    spec = make(tmp_path)
    before = files(tmp_path)
    ran = run_study(spec, "--out", tmp_path / "out", "--dry-run", "--quiet", cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert (
        ran.stdout.count("whisper_model_size=") == 10
        and "--gpu-memory-utilization 0.5" in ran.stdout
    )
    assert files(tmp_path) == before and not (tmp_path / "out").exists()


def test_a_dry_run_of_a_finished_study_knows_it_and_leaves_it_as_it_is(
    place: tuple[Path, Path],
) -> None:
    before = files(place[1])
    ran = run_study(place[0], "--out", place[1], "--dry-run")
    assert (
        "10 configurations, 10 of them measured" in ran.stdout
        and "nothing is launched" in ran.stdout
    )
    assert (
        ran.stdout.count("[measured: does not work]") == 2
        and ran.stdout.count("[measured: works]") == 8
    )
    assert files(place[1]) == before


def test_a_dry_run_of_other_conditions_says_what_the_run_says(place: tuple[Path, Path]) -> None:
    spec, out = place
    old = study(out)
    workload = {**old.user_attrs[IDENTITY]["workload"], "window_s": 33}
    old.set_user_attr(IDENTITY, {**old.user_attrs[IDENTITY], "workload": workload})
    ran = run_study(spec, "--out", out, "--dry-run")
    assert ran.returncode == 2
    assert "was measured under other conditions: workload; run with --fresh" in ran.stderr
    assert ran.stderr in run_study(spec, "--out", out, "--n-trials", 1).stderr
    ran = run_study(spec, "--out", out, "--dry-run", "--fresh")
    assert ran.returncode == 0 and "[measured" not in ran.stdout


def test_the_plan_of_a_live_study_counts_what_is_left_and_how_long_it_takes(tmp_path: Path) -> None:
    spec = load(make(tmp_path))
    forecast_of = partial(plan_of, spec, replicates=True)
    done = {str(a): True for a in spec.search_space.grid()}
    todo = forecast_of(done={}, counted=0, seconds_per_trial=60.0, timeout_s=300.0)
    assert forecast_in_words(todo)[-3:-1] == [
        "at least 5 starts of the LLM server for these; about 1.0 min a trial (measured), "
        "10 min for 10 trials: 2 run(s) of 300 s",
        "a first answer after about 5 min",
    ]
    longer = forecast_of(done={}, counted=0, seconds_per_trial=600.0, timeout_s=14_400.0)
    assert forecast_in_words(longer)[-2] == (
        "a first answer after about 100 min (`--timeout 3600` gives one of 6 trials)"
    )
    over = forecast_of(done=done, counted=40, seconds_per_trial=None, timeout_s=300.0)
    assert "(estimated), 0 min for 0 trials" in forecast_in_words(over)[-2]
    with_looks = replace(over, effort=replace(over.effort, confirm_s=(7000.0, 18_000.0)))
    assert forecast_in_words(with_looks)[-1] == (
        "a first answer is there: no configuration is left to measure for the first time; "
        "a confirmed one about 117 min later, or 5.0 h where that does not decide"
    )


def test_a_space_of_the_baseline_alone_has_nothing_to_compare(tmp_path: Path) -> None:
    def lines_of(sizes: list[str]) -> list[str]:
        space = {"vllm_memory_util": [0.5], "whisper_model_size": sizes}
        spec = load(make(tmp_path, changes={"search_space": space}))
        return forecast_in_words(plan_of(spec, {}, 0, timeout_s=3600.0, replicates=True))

    alone = lines_of(["base"])
    assert alone[0].startswith("1 configuration, 0 of them measured")
    assert alone[1] == "nothing to compare: add values to `search_space`"
    assert any("at least 1 start of" in line and " for 1 trial:" in line for line in alone)
    assert not any("a confirmed one" in line or "a first answer" in line for line in alone)
    two = lines_of(["tiny", "base"])
    assert not any("nothing to compare" in line for line in two)
    assert any("a first answer" in line for line in two)


def plan_of(spec: Spec, done: Mapping[str, bool], counted: int, **more: Any) -> Forecast:
    """Return the plan of a space, of 40 trials at the most, each of a minute where none is said."""
    return forecast(
        spec.search_space,
        spec.baseline,
        setting_of(spec),
        env={},
        rooms=roomy(8192.0),
        measurements=[],
        done=done,
        counted=counted,
        max_trials=40,
        **{"seconds_per_trial": 60.0, **more},
    )


@pytest.mark.parametrize(
    ("counted", "replicates", "timeout_s", "first_s", "latest_s"),
    [
        (0, True, 86_400.0, 600.0, 2400.0),  # 10 configurations once, 40 trials in all
        (0, True, 1800.0, 600.0, 1800.0),  # the wall clock ends it
        (0, False, 86_400.0, 600.0, 600.0),
        (12, True, 86_400.0, 0.0, 1680.0),  # all were measured, two of them again
        (12, False, 86_400.0, 0.0, 0.0),
        (40, True, 86_400.0, 0.0, 0.0),
    ],
)
def test_a_plan_tells_the_first_answer_and_when_the_run_ends_at_the_latest(
    tmp_path: Path,
    counted: int,
    replicates: bool,
    timeout_s: float,
    first_s: float,
    latest_s: float,
) -> None:
    spec = load(make(tmp_path))
    done = {str(a): True for a in spec.search_space.grid()} if counted else {}
    plan = plan_of(spec, done, counted, timeout_s=timeout_s, replicates=replicates)
    assert (plan.effort.first_answer_s, plan.effort.latest_s) == (first_s, latest_s)
    words = forecast_in_words(plan)[-1]
    assert (f"after {latest_s / 60:.0f} min at the latest" in words) is (latest_s > first_s)


@pytest.mark.parametrize(
    ("counted", "first_s", "latest_s"),
    [
        (0, 240.0, 660.0),  # the baseline alone, then it on three cards and nine others; 40 in all
        (3, 180.0, 600.0),  # the baseline was measured on each: ten in three rounds, 37 in all
    ],
)
def test_a_plan_for_lanes_measures_so_many_at_once_once_the_baseline_is(
    tmp_path: Path, counted: int, first_s: float, latest_s: float
) -> None:
    spec = load(make(tmp_path))
    timeout_s = 86_400.0 if counted else 120.0
    plan = plan_of(spec, {}, counted, timeout_s=timeout_s, replicates=True, lanes=4)
    effort = replace(plan.effort, timeout_s=86_400.0)
    assert (effort.first_answer_s, effort.latest_s) == (first_s, latest_s)
    assert plan.effort.runs == (1 if counted else 2)
    assert f"{first_s / 60:.0f} min for 10 trials in 4 lanes: " in "".join(forecast_in_words(plan))


def test_a_first_guess_has_both_ramps_of_the_baseline(tmp_path: Path) -> None:
    quiet, loud = Workload(ramp_s=0.0), Workload(ramp_s=100.0)
    assert expected_trial_s(loud, []) - expected_trial_s(quiet, []) == 200.0
    assert guess_s(loud) - guess_s(quiet) == 100.0
    spec = load(make(tmp_path))
    plan = forecast(
        spec.search_space,
        spec.baseline,
        replace(setting_of(spec), workload=loud),
        env={},
        rooms=roomy(8192.0),
        measurements=[],
        done={},
        counted=0,
        seconds_per_trial=None,
        max_trials=40,
        timeout_s=86_400.0,
        replicates=True,
    )
    assert plan.effort.first_answer_s == 10 * guess_s(loud) + 100.0


def test_a_plan_tells_what_the_files_say_of_what_was_not_measured(tmp_path: Path) -> None:
    spec = load(make(tmp_path))

    def by_files(allocation: Allocation) -> Cell:
        return Cell(allocation=allocation, outcome=Fits.STARTS, kv_tokens=1234)

    plan = partial(
        forecast,
        spec.search_space,
        spec.baseline,
        setting_of(spec),
        env={},
        rooms=roomy(8192.0),
        done={},
        counted=0,
        seconds_per_trial=60.0,
        max_trials=40,
        timeout_s=600.0,
        replicates=True,
    )
    count = spec.search_space.size
    words = "\n".join(forecast_in_words(plan(measurements=[], by_files=by_files)))
    assert words.count("by the model's files: starts, 1,234 tokens of KV cache") == count
    assert "not measured yet" not in words
    words = "\n".join(forecast_in_words(plan(measurements=[])))
    assert words.count("unknown: not measured yet") == 2  # the baseline's, and one of all others
    assert f"  {count - 1} more  unknown: not measured yet" in words
    unread = replace(plan(measurements=[]), unread="the model is not here")
    assert "the models' files say nothing: the model is not here" in forecast_in_words(unread)
    launched = [(a, cell(a.share, a.speech)) for a in spec.search_space.grid()]
    measured = [
        (a, changed(m, llm_kv_cache_mib=2000.0, llm_memory_mib=4100.0))
        for a, m in launched
        if isinstance(m, Measurement)
    ]
    words = "\n".join(forecast_in_words(plan(measurements=measured, by_files=by_files)))
    assert "by the model's files" not in words, "the study's own figures come first"


def test_by_the_spec_that_ships_a_confirmation_takes_a_night_at_most() -> None:
    spec = load(Path(str(files_of_package("study"))) / "specs/gpu.yaml")
    trial_s = guess_s(spec.workload)
    first_s, last_s = until_looks_s(spec, trial_s)
    assert 8 * 2 * trial_s < first_s < last_s < 8 * 3600
    quiet = replace(spec, workload=replace(spec.workload, ramp_s=0.0))
    holds_s = first_s - 16 * spec.workload.ramp_s - until_looks_s(quiet, trial_s)[0]
    assert 6 * spec.workload.hold_s < holds_s < 15 * 60


def test_json_is_one_object_a_trial_and_ends_with_the_winner(place: tuple[Path, Path]) -> None:
    ran = run_study(place[0], "--out", place[1], "--json", "--seed", 1, "--n-trials", 2)
    *trials, last = [
        json.loads(line, parse_constant=pytest.fail) for line in ran.stdout.splitlines()
    ]
    assert [(t["trial"], t["parameters"] == SPEC["baseline"]) for t in trials] == [
        (0, True),
        (1, False),
    ]
    assert (last["kind"], last["schema"], {t["kind"] for t in trials}) == ("answer", 1, {"trial"})
    ran = run_study(place[0], "--out", place[1], "--json")
    (last,) = [json.loads(line, parse_constant=pytest.fail) for line in ran.stdout.splitlines()]
    assert (last["action"], last["parameters"]) == ("candidate", BEST)
    assert last["sentence"].startswith("The best candidate is 55 %")
    assert last["best_of_study"]["parameters"] == BEST
    assert last["held_back"][0].startswith(HELD_BACK)
    assert "scripts/report.py" in last["next"][0]


@pytest.mark.parametrize(
    ("changes", "arguments", "message"),
    [
        ({}, ["--sampler", "tpee"], "invalid choice: 'tpee'"),
        ({}, ["--n-trials", "-1"], "--n-trials must be from 1 to 2147483647, not -1"),
        ({}, ["--seed", "2147483648"], "--seed must be from 0"),
        ({}, ["--timeout", "nan"], "--timeout: must be from 0.001 to 1e+07, not nan"),
        ({}, ["--study-name", "a\nb"], "--study-name 'a\\nb' holds characters"),
        ({}, ["--storage", "nope"], "cannot open the storage nope"),
        (
            {},
            ["--storage", "nope://user:secret@host/db"],
            "cannot open the storage nope://user:***@host/db",
        ),
        ({}, ["--storage", "sqlite:////nowhere/at/all.db"], "unable to open database file"),
        (
            {"workload": {"window_s": 21}},
            [],
            "workload differ from the recording made.jsonl (window_s)",
        ),
        (
            {"workload": {"words": "dictation"}},  # a key that the recording lacks
            [],
            "workload differ from the recording made.jsonl (window_s, words)",
        ),
        ({"tenants": [{"name": "x", "mib": 9}]}, [], "tenants differ from the recording"),
        (
            {"measure": {"recorded": "no.jsonl"}},
            [],
            "measure.recorded: there is no recording 'no.jsonl'",
        ),
        ({"smapler": "tpe"}, [], "smapler: unknown key; did you mean sampler?"),
        ({"selector": {"fresh_inject": 5}}, [], "fresh_inject is 5"),
        (
            {
                "search_space": {
                    "vllm_memory_util": [0.4, 0.5, 0.65],
                    "whisper_model_size": ["tiny", "base"],
                }
            },
            [],
            "made.jsonl holds no measurement of vllm_memory_util=0.65 whisper_model_size=tiny",
        ),
        (
            {
                "search_space": {
                    "vllm_memory_util": {"low": 0.4, "high": 0.6},
                    "whisper_model_size": ["tiny", "base"],
                }
            },
            [],
            "a continuous range cannot be replayed",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_2_and_leaves_nothing(
    tmp_path: Path, changes: dict[str, Any], arguments: list[str], message: str
) -> None:
    make(tmp_path)
    spec = write_spec(tmp_path, **changes)
    ran = run_study(spec, "--out", tmp_path / "out", *arguments, cwd=tmp_path)
    assert message in ran.stderr
    assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1)
    assert {p.name for p in tmp_path.iterdir()} == {"spec.yaml", "made.jsonl"}


def test_a_spec_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    ran = run_study(tmp_path / "no.yaml", "--out", tmp_path / "out")
    assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1)
    assert "there is no such file" in ran.stderr and not any(tmp_path.iterdir())


def test_an_out_that_is_a_file_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("kept")
    ran = run_study(make(tmp_path), "--out", tmp_path / "out")
    assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1)
    assert "name another --out" in ran.stderr and (tmp_path / "out").read_text() == "kept"


def test_a_study_file_that_is_no_database_is_bad_input_and_is_left_alone(
    place: tuple[Path, Path],
) -> None:
    database = place[1] / "made" / "study.db"
    database.write_text("garbage " * 100)
    ran = run_study(place[0], "--out", place[1])
    assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1)
    assert "file is not a database" in ran.stderr and database.read_text() == "garbage " * 100


def test_a_folder_where_the_log_goes_is_a_set_up_error_without_traceback(tmp_path: Path) -> None:
    (tmp_path / "out" / "made" / "runner.log").mkdir(parents=True)
    ran = run_study(make(tmp_path), "--out", tmp_path / "out")
    assert (ran.returncode, len(ran.stderr.splitlines())) == (3, 1)
    assert "runner.log" in ran.stderr


def test_two_runs_never_share_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "out" / "made"
    folder.mkdir(parents=True)
    with (folder / "run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ran = run_study(make(tmp_path), "--out", tmp_path / "out")
    assert (ran.returncode, len(ran.stderr.splitlines())) == (3, 1)
    assert "another run is using" in ran.stderr and {p.name for p in folder.iterdir()} == {
        "run.lock"
    }


@pytest.mark.parametrize("name", ["a b%20c#d", "what?x=1", "ünï 🎤"])
def test_any_path_can_be_out(tmp_path: Path, name: str) -> None:
    ran = run_study(
        make(tmp_path), "--out", tmp_path / name, "--n-trials", 1, "--study-name", 'a/b "q" ü%'
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert {p.name for p in tmp_path.iterdir()} == {"spec.yaml", "made.jsonl", name}
    assert (tmp_path / name / "made" / "study.db").is_file()


def test_changed_weights_score_anew_what_was_measured(place: tuple[Path, Path]) -> None:
    old = {t.number: t for t in study(place[1]).trials}
    write_spec(place[0].parent, fitness={"preset": "latency"})
    ran = run_study(place[0], "--out", place[1])
    assert (ran.returncode, ran.stderr) == (0, "")
    assert not list(place[1].glob("made/epoch_2")), "nothing was measured"
    new = study(place[1], "made-tournament-0-2").trials
    assert [t.params for t in new] == [old[t.user_attrs["carried_from"]].params for t in new]
    assert [t.state for t in new] == [t.state for t in old.values()]
    assert all(t.value != old[t.number].value for t in new if t.state.name == "COMPLETE")
    assert [t.constraints for t in new] == [t.constraints for t in old.values()]
    assert run_study(place[0], "--out", place[1]).returncode == 0
    assert not list(place[1].glob("made/epoch_2")) and len(names(place[1])) == 2


def test_an_added_value_grows_the_study_and_only_that_is_measured(tmp_path: Path) -> None:
    spec = make(tmp_path)
    write_spec(tmp_path, search_space=ONE_SIZE | {"vllm_memory_util": [0.45, 0.5]})
    assert run_study(spec, "--out", tmp_path / "out").returncode == 0
    write_spec(
        tmp_path,
        search_space={"vllm_memory_util": [0.5, 0.55], "whisper_model_size": ["tiny", "base"]},
    )
    assert run_study(spec, "--out", tmp_path / "out").returncode == 0
    grown = [parameters(line) for line in metrics(tmp_path / "out", 2) if line["repeat_of"] is None]
    assert sorted((p["vllm_memory_util"], p["whisper_model_size"]) for p in grown) == [
        (0.5, "tiny"),
        (0.55, "base"),
        (0.55, "tiny"),
    ]
    assert promotions(tmp_path / "out")[-1]["parameters"] == BEST


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"limits": {"llm_ttft_p95_ms": 900.0}}, "limits"),
        ({"baseline": {"vllm_memory_util": 0.45, "whisper_model_size": "base"}}, "baseline"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_name(
    place: tuple[Path, Path], changes: dict[str, Any], name: str
) -> None:
    before = len(study(place[1]).trials)
    write_spec(place[0].parent, **changes)
    ran = run_study(place[0], "--out", place[1])
    assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1)
    assert f"measured under other conditions: {name};" in ran.stderr and "--fresh" in ran.stderr
    assert len(study(place[1]).trials) == before
    assert run_study(place[0], "--out", place[1], "--fresh", "--n-trials", 1).returncode == 0


def test_two_products_never_mix(place: tuple[Path, Path]) -> None:
    path = place[0].parent / "made.jsonl"
    head, *rest = path.read_text().splitlines()
    other = json.loads(head)
    other["devices"][0] |= {"product": "Other card", "total_mib": 24_000.0}
    other["versions"]["llm"]["vllm"] = "0.27.0"
    path.write_text("\n".join([json.dumps(other), *rest]) + "\n")
    ran = run_study(place[0], "--out", place[1])
    assert ran.returncode == 2
    assert (
        "under other conditions: device product, device total MiB, server versions;" in ran.stderr
    )


def test_a_total_that_breathes_is_the_same_device() -> None:
    assert differing_names({"device total MiB": 12_000}, {"device total MiB": 12_200}) == []
    assert differing_names({"device total MiB": 12_000}, {"device total MiB": 12_300}) == [
        "device total MiB"
    ]
    assert differing_names({}, {"limits": {}}) == ["limits"]


def test_a_size_may_come_or_go_but_not_be_another_model() -> None:
    def services(**models: str) -> dict[str, Any]:
        return {"services": {"llm": {}, "stt": {"models": models}}}

    assert differing_names(services(tiny="a", base="b"), services(base="b", small="c")) == []
    assert differing_names(services(tiny="a", base="b"), services(base="other", small="c")) == [
        "services"
    ]


def test_nothing_feasible_is_exit_4_with_a_reason_for_each_and_what_would_help(
    tmp_path: Path,
) -> None:
    make(tmp_path, lambda *_: oom(900.0))
    ran = run_study(write_spec(tmp_path, search_space=ONE_SIZE), "--out", tmp_path / "out")
    assert (ran.returncode, ran.stderr) == (4, "")
    assert ran.stdout.count("(oom_budget). Its log: Free memory is less than desired") == 1
    assert "(900 MiB short) and 2 more: the device has not the share" in ran.stdout
    assert "freeing 900 MiB would let the nearest one start" in ran.stdout
    assert promotions(tmp_path / "out") == []


def test_latencies_without_an_end_are_infeasible_and_named(tmp_path: Path) -> None:
    def lost(share: float, size: str) -> Outcome:
        return measurement(llm_latency_p95_ms=float("inf"), failure_rate=0.2)

    ran = run_study(make(tmp_path, lost), "--out", tmp_path / "out", "--n-trials", 2)
    assert (ran.returncode, ran.stderr) == (4, "")
    assert "vllm_memory_util=0.5 whisper_model_size=base: over: latency_is_finite" in ran.stdout
    assert metrics(tmp_path / "out", 1)[0]["llm_latency_p95_ms"] == "inf"


def test_a_baseline_without_figures_leaves_the_reference_to_the_first_feasible_one(
    tmp_path: Path,
) -> None:
    def failing(share: float, size: str) -> Outcome:
        return oom() if (share, size) == (0.5, "base") else cell(share, size)

    make(tmp_path, failing)
    ran = run_study(write_spec(tmp_path, search_space=ONE_SIZE), "--out", tmp_path / "out")
    assert ran.returncode == 0
    (promoted,) = promotions(tmp_path / "out")
    assert promoted["parameters"]["vllm_memory_util"] == 0.55
    assert "- In use today, 50 % + base: pruned: oom_budget" in ran.stdout
    notes = how_sure(summary(study(tmp_path / "out")))
    assert any(note.startswith("Fitness is relative to ") for note in notes)
    assert [t.user_attrs.get("is_reference") for t in study(tmp_path / "out").trials].count(
        True
    ) == 1


def test_a_study_that_a_killed_run_had_only_begun_to_make_is_completed(tmp_path: Path) -> None:
    (tmp_path / "out" / "made").mkdir(parents=True)
    url = f"sqlite:///{tmp_path}/out/made/study.db"
    optuna.create_study(study_name="made-tournament-0", storage=url, direction="maximize")
    ran = run_study(make(tmp_path), "--out", tmp_path / "out", "--n-trials", 1)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert optuna.get_all_study_names(url) == ["made-tournament-0"]


@pytest.mark.parametrize("sampler", ["tournament", "tpe", "random", "grid", "nsga2", "bruteforce"])
def test_every_sampler_comes_to_the_end_of_the_space(tmp_path: Path, sampler: str) -> None:
    make(tmp_path)
    spec = write_spec(tmp_path, search_space=ONE_SIZE | {"vllm_memory_util": [0.5, 0.55]})
    ran = run_study(spec, "--out", tmp_path / "out", "--sampler", sampler)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "ended: every one of the 2 configurations is measured" in ran.stdout
    own = [
        line["vllm_memory_util"]
        for line in metrics(tmp_path / "out", 1)
        if line["repeat_of"] is None
    ]
    assert sorted(own) == [0.5, 0.55], "each was measured once"
    assert promotions(tmp_path / "out")[0]["sampler"] == sampler


def test_a_seed_that_is_resumed_does_not_draw_its_first_configurations_again(
    tmp_path: Path,
) -> None:
    spec, configurations = make(tmp_path), []
    for n in (2, 4):
        run_study(spec, "--out", tmp_path / "out", "--sampler", "random", "--n-trials", n)
        trials = study(tmp_path / "out", "made-random-0").trials
        configurations.append([t.params for t in trials[n - 2 :]])
    assert configurations[0][1] != configurations[1][0], (
        "the first one that was drawn, behind the baseline"
    )


@pytest.mark.skipif(not find_spec("torch"), reason="the sampler gp needs PyTorch")
def test_gp_refuses_a_study_of_which_the_tournament_noted_what_it_cannot_read(
    tmp_path: Path,
) -> None:
    spec, storage = make(tmp_path), f"sqlite:///{tmp_path / 'study.db'}"
    given = (spec, "--storage", storage, "--study-name", "mine", "--out", tmp_path / "out")
    assert run_study(*given).returncode == 0
    study = optuna.load_study(study_name="mine", storage=storage)
    told = study.ask()
    told.set_constraint(NOT_SHOWN, 0.005)
    study.tell(told, state=optuna.trial.TrialState.PRUNED)
    ran = run_study(*given, "--sampler", "gp")
    assert ran.returncode == 2 and "was begun by the tournament" in ran.stderr
    assert "name another --study-name, or another --sampler" in ran.stderr
