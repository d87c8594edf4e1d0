"""Checks a study that follows its recording.

It makes every launch once, in its order, of a part of the space too.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from made.factories import SHARES, SIZES, cell, make, write_spec
from made.studies import Shared, copied
from processes.commands import ROOT, SCRIPT, run_script, run_study
from processes.forks import Forked

import objectives
from objectives import recording
from objectives.allocation import Allocation
from study.report.html import html
from study.report.summary import summary
from study.storage.find import study_in
from study.storage.trial import Trial
from study.storage.trials import counted

PART = ((0.40, "tiny"), (0.45, "base"), (0.60, "tiny"))
FOLLOW = ("--sampler", "recorded")


def trials(folder: Path, name: str = "made-recorded-0") -> list[str]:
    """Return the configurations that were measured, in order; a repeat that was told is marked."""
    study = optuna.load_study(study_name=name, storage=f"sqlite:///{folder}/out/made/study.db")
    assert not study.get_trials(states=(optuna.trial.TrialState.WAITING,))
    return [("" if r.repeat_of is None else "again: ") + str(r.allocation) for r in counted(study)]


def held(folder: Path) -> list[str]:
    shipped = recording.read(folder / "made.jsonl")
    return [str(Allocation(e.values)) for e in shipped.entries]


def test_a_part_of_a_space_is_replayed_launch_by_launch_the_baseline_first(tmp_path: Path) -> None:
    spec = make(tmp_path, skip=PART)
    ran = run_study(spec, "--out", tmp_path / "out", *FOLLOW)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "ended: every launch that was recorded is replayed" in ran.stdout
    configurations = trials(tmp_path)
    assert sorted(configurations) == sorted(held(tmp_path)), (
        "failures too, and each as often as it was recorded"
    )
    assert len(configurations) == 14
    assert configurations[:2] == ["vllm_memory_util=0.5 whisper_model_size=base"] * 2
    again = run_study(spec, "--out", tmp_path / "out", *FOLLOW)
    assert again.returncode == 0
    assert trials(tmp_path) == configurations


def tell_apart(entries: Sequence[recording.RecordedLaunch]) -> None:
    """Give each launch another time a token, so that no two are alike."""
    for n, e in enumerate(entries):
        if e.measurement is not None:
            object.__setattr__(e.measurement.services["llm"], "tpot_ms", 10.0 + n)


def tokens_ms(launches: Sequence[recording.RecordedLaunch | Trial]) -> list[float]:
    """Return the times a token of all launches that measured one, ms."""
    measured = [x.measurement for x in launches if x.measurement is not None]
    return sorted(m.figure("llm_tpot_ms") or 0.0 for m in measured)


def test_every_launch_counts_with_what_it_measured(tmp_path: Path) -> None:
    spec = make(tmp_path, skip=PART)
    path = tmp_path / "made.jsonl"
    shipped = recording.read(path)
    tell_apart(shipped.entries)
    recording.write(path, shipped.provenance, shipped.entries)
    run_study(spec, "--out", tmp_path / "out", *FOLLOW)
    study = optuna.load_study(
        study_name="made-recorded-0", storage=f"sqlite:///{tmp_path}/out/made/study.db"
    )
    assert tokens_ms(counted(study)) == tokens_ms(shipped.entries)


def test_a_dry_run_lists_what_is_recorded_and_promises_no_launch(tmp_path: Path) -> None:
    ran = run_study(make(tmp_path, skip=PART), "--out", tmp_path / "out", *FOLLOW, "--dry-run")
    assert ran.returncode == 0, ran.stderr
    listed = [
        line.split("  ")[1]
        for line in ran.stdout.splitlines()
        if line.startswith("  vllm_memory_util=")
    ]
    assert sorted(listed) == sorted(set(held(tmp_path)))
    which = f"{len(listed)} configurations in {len(held(tmp_path))} launches"
    end = f"nothing is launched; the recording holds {which}"
    assert ran.stdout.splitlines()[-1].endswith(end)


def test_it_goes_on_where_a_budget_ended_it(tmp_path: Path) -> None:
    spec = make(tmp_path, skip=PART)
    first = run_study(spec, "--out", tmp_path / "out", *FOLLOW, "--n-trials", 3)
    left = len(held(tmp_path)) - 3
    assert f"the budget of 3 trials is used; {left} recorded launches are left" in first.stdout
    run_study(spec, "--out", tmp_path / "out", *FOLLOW)
    assert sorted(trials(tmp_path)) == sorted(held(tmp_path))


KILL = """
import os, runpy, signal, sys
from objectives.recording import Recording
Recording.measure = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_killed_at_its_first_launch_it_begins_with_the_baseline_again(tmp_path: Path) -> None:
    spec = make(tmp_path, skip=PART)
    line = [
        sys.executable,
        "-c",
        KILL,
        str(SCRIPT),
        str(spec),
        "--out",
        str(tmp_path / "out"),
        *FOLLOW,
    ]
    assert Forked(line, stdout=subprocess.DEVNULL).wait(60) == -9
    assert run_study(spec, "--out", tmp_path / "out", *FOLLOW).returncode == 0
    assert trials(tmp_path)[0] == "vllm_memory_util=0.5 whisper_model_size=base"
    assert sorted(trials(tmp_path)) == sorted(held(tmp_path))


def test_a_recording_that_grew_gives_each_line_once(tmp_path: Path) -> None:
    spec = make(tmp_path, skip=PART)
    path = tmp_path / "made.jsonl"
    whole = recording.read(path)
    tell_apart(whole.entries)
    for entries in (whole.entries[:8], whole.entries):
        recording.write(path, whole.provenance, entries)
        assert run_study(spec, "--out", tmp_path / "out", *FOLLOW, "--seed", 1).returncode == 0
    study = optuna.load_study(
        study_name="made-recorded-1", storage=f"sqlite:///{tmp_path}/out/made/study.db"
    )
    assert tokens_ms(counted(study)) == tokens_ms(whole.entries)


def test_changed_weights_open_the_next_study_with_all_of_it_and_nothing_twice(
    tmp_path: Path,
) -> None:
    spec = make(tmp_path, skip=PART)
    run_study(spec, "--out", tmp_path / "out", *FOLLOW)
    write_spec(tmp_path, fitness={"weights": {"llm": 1.0}})
    ran = run_study(spec, "--out", tmp_path / "out", *FOLLOW)
    assert ran.returncode == 0, ran.stderr
    assert sorted(trials(tmp_path, "made-recorded-0-2")) == sorted(held(tmp_path))


def test_what_lies_outside_the_space_of_the_spec_is_left_out(tmp_path: Path) -> None:
    make(tmp_path, skip=PART)
    spec = write_spec(
        tmp_path,
        search_space={"vllm_memory_util": [0.5, 0.55], "whisper_model_size": ["tiny", "base"]},
    )
    ran = run_study(spec, "--out", tmp_path / "out", *FOLLOW)
    assert ran.returncode == 0, ran.stderr
    assert {x.split()[0] for x in trials(tmp_path)} == {
        "vllm_memory_util=0.5",
        "vllm_memory_util=0.55",
    }


@pytest.mark.parametrize(
    ("skip", "arguments", "message"),
    [
        (
            PART,
            (),
            "made.jsonl holds no measurement of vllm_memory_util=0.4 whisper_model_size=tiny",
        ),
        (PART, (), "run with --sampler recorded"),
        (
            ((0.50, "base"),),
            FOLLOW,
            "baseline: made.jsonl holds no measurement of it; name one that is there",
        ),
    ],
)
def test_what_cannot_be_answered_is_refused(
    tmp_path: Path, skip: Any, arguments: Any, message: str
) -> None:
    ran = run_study(make(tmp_path, skip=skip), "--out", tmp_path / "out", *arguments)
    assert ran.returncode == 2
    assert message in ran.stderr
    assert not (tmp_path / "out").exists()


def test_a_live_study_has_no_recording_to_follow(tmp_path: Path) -> None:
    make(tmp_path)
    services = {"llm": {"model": "."}, "stt": {"models": {"tiny": ".", "base": "."}}}
    spec = write_spec(tmp_path, measure="live", services=services)
    ran = run_study(spec, "--out", tmp_path / "out", *FOLLOW)
    assert ran.returncode == 2
    assert (
        "sampler 'recorded' replays a recording; name one with `measure: {recorded: FILE}`"
        in ran.stderr
    )


def test_the_wide_recording_that_ships_is_replayed_whole(
    shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copied(shared.wide(), tmp_path)
    lines = [json.loads(line) for line in (folder / "said.txt").read_text().splitlines()]
    shipped = recording.read(Path(objectives.__file__).parent / "recordings/h100_wide.jsonl")
    trials = [line for line in lines if "parameters" in line and "schema" not in line]
    assert len(trials) == len(shipped.entries)  # the answer, which comes last, is no trial
    storage, page = folder / "artifacts/h100_wide_recorded/study.db", tmp_path / "report.html"
    assert run_script("report.py", storage, "-o", page).returncode == 0
    assert "Which parameter matters?" in page.read_text()
    assert "The best candidate is 50 %" in page.read_text(), "without a capacity of 0.1, by a hair"
    effects = [
        run_script("main_effects.py", source).stdout.partition("\n")[2]
        for source in (storage, shipped.path)
    ]
    assert effects[0] == effects[1], "the study tells what its recording tells, cards and all"
    for name in [name for name in sys.modules if name.partition(".")[0] == "statsmodels"]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "lean").mkdir()
    (tmp_path / "lean/statsmodels.py").write_text("raise ModuleNotFoundError(name=__name__)")
    monkeypatch.syspath_prepend(tmp_path / "lean")
    lean = html(summary(study_in(f"sqlite:///{storage}")))
    assert '<p class="soft">The table of effects needs statsmodels: pip install ' in lean
    assert "LLM first token p95 ms" not in lean


def test_a_failure_is_replayed_as_often_as_it_was_recorded(tmp_path: Path) -> None:
    kept = ((0.50, "base"), (0.60, "base"))
    skip = [(share, size) for share in SHARES for size in SIZES if (share, size) not in kept]
    spec = make(tmp_path, cell, repeats=3, skip=skip)
    ran = run_study(spec, "--out", tmp_path / "out", *FOLLOW)
    assert ran.returncode == 0
    assert trials(tmp_path).count("vllm_memory_util=0.6 whisper_model_size=base") == 3
    text = (tmp_path / "out/made/runner.log").read_text()
    assert text.count("  replaying\n") == len(trials(tmp_path)), "a replay says so"


def test_figures_that_do_not_go_together_are_refused_in_one_line(tmp_path: Path) -> None:
    file = Path(objectives.__file__).parent / "recordings/h200.jsonl"
    head, *launches = map(json.loads, file.read_text().splitlines())
    for launch in launches:
        if launch["measurement"]:
            launch["measurement"]["ramp"]["doubling_s"] = 0  # a number, and no ramp has it
    own = tmp_path / "own.jsonl"
    own.write_text("".join(json.dumps(line) + "\n" for line in (head, *launches)))
    spec = (ROOT / "study/specs/h200_recorded.yaml").read_text().replace("h200.jsonl", str(own), 1)
    (tmp_path / "own.yaml").write_text(spec)
    ran = run_study(tmp_path / "own.yaml", "--out", tmp_path / "out", "--quiet")
    assert ran.returncode == 2 and "cannot be replayed" in ran.stderr and str(own) in ran.stderr
    assert "Traceback" not in ran.stderr
