"""The commands with --devices, on cards of numbers: lanes, servers and loads are real processes."""

import signal
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import optuna
import psutil
import pytest
from fake_cards.cards_here import CARDS, alive, live_on_cards, with_cards
from optuna.trial import TrialState
from processes.commands import run_script
from processes.forks import Forked, script

from objectives.recording import read
from study import run_measuring
from study.run_plan import RunOptions
from study.storage.trial import State
from study.storage.trials import counted

pytestmark = pytest.mark.usefixtures("forked")


@pytest.fixture(autouse=True)
def cards(monkeypatch):
    with_cards(monkeypatch)


def started(folder):
    """Start a study on two cards in a process of its own, and wait until both measure."""
    study = Forked(
        script("run_study.py", "spec.yaml", "--devices", "all"),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    output = ""
    while "begins on GPU-b" not in output:
        line = study.stdout.readline()
        assert line, output
        output += line
    assert len(alive(folder)) > 3
    return study


def wait_for(fact, limit_s=30.0):
    until = time.monotonic() + limit_s
    while not fact() and time.monotonic() < until:
        time.sleep(0.1)
    return fact()


def goes_on(folder):
    """Return what the study holds once the same command has run again."""
    run = run_script("run_study.py", "spec.yaml", "--devices", "all", cwd=folder)
    assert run.returncode in (0, 4), run.stderr
    storage = f"sqlite:///{folder}/artifacts/made/study.db"
    return optuna.load_study(study_name=None, storage=storage), run.stdout


def test_ctrl_c_ends_lanes_and_servers_and_the_study_goes_on(tmp_path):
    live_on_cards(tmp_path)
    study = started(tmp_path)
    study.send_signal(signal.SIGINT)
    output, _ = study.communicate(timeout=60)
    assert study.returncode == 130 and "run the same command again to go on" in output
    assert alive(tmp_path) == []
    held, _ = goes_on(tmp_path)
    assert not held.get_trials(states=(TrialState.RUNNING,))
    assert len({str(r.allocation) for r in counted(held)}) == 3


def test_a_driver_that_is_killed_leaves_nothing_behind_and_the_study_goes_on(tmp_path):
    live_on_cards(tmp_path)
    study = started(tmp_path)
    study.kill()
    study.wait()
    study.stdout.close()
    assert wait_for(lambda: alive(tmp_path) == []), alive(tmp_path)
    held, output = goes_on(tmp_path)
    assert "left by a dead process were freed and come first" in output
    assert not held.get_trials(states=(TrialState.RUNNING,))
    assert len({str(r.allocation) for r in counted(held)}) == 3


def test_a_lane_that_is_killed_takes_its_servers_with_it_and_no_others(tmp_path):
    live_on_cards(tmp_path)
    study = started(tmp_path)
    lanes = psutil.Process(study.pid).children()
    assert len(lanes) == 2
    lanes[1].kill()
    output, _ = study.communicate(timeout=90)
    assert study.returncode in (0, 4) and "was lost: its process ended by signal SIGKILL" in output
    assert alive(tmp_path) == []
    storage = f"sqlite:///{tmp_path}/artifacts/made/study.db"
    held = optuna.load_study(study_name=None, storage=storage)
    assert {r.state for r in counted(held)} == {State.COMPLETE}
    (lost,) = [t for t in held.get_trials() if "lost" in t.user_attrs]
    assert lost.state is TrialState.COMPLETE


def test_a_study_on_two_cards_measures_the_baseline_on_both(tmp_path):
    spec = live_on_cards(tmp_path)
    run = run_script("run_study.py", spec, "--devices", "all", "--out", tmp_path / "out")
    assert run.returncode == 0, run.stderr
    begun = [line for line in run.stdout.splitlines() if " begins on " in line]
    assert begun[0].startswith("trial 0") and " baseline:" in begun[0]
    assert {line.split()[-1] for line in begun[:3]} == set(CARDS)
    assert len([line for line in begun if " bridge:" in line]) == 1


def test_a_recording_of_two_cards_has_both_and_the_baseline_of_each(tmp_path):
    spec, out = live_on_cards(tmp_path), tmp_path / "made.jsonl"
    run = run_script("record.py", spec, "--devices", "0,1", "--repeats", "1", "--out", out)
    assert run.returncode == 0, run.stderr
    recording = read(out)
    baseline = recording.entries[0].key
    assert {e.card for e in recording.entries if e.key == baseline} == set(CARDS)
    assert [d.uuid for d in recording.provenance.devices] == list(CARDS)
    keys = [(e.key, e.repeat) for e in recording.entries]
    assert len(keys) == len(set(keys)) == 5
    again = run_script("record.py", spec, "--devices", "0,1", "--repeats", "1", "--out", out)
    assert again.returncode == 0 and len(read(out).entries) == 5


@pytest.mark.parametrize(
    ("devices", "code", "words"),
    [
        ("0,0", 2, "names GPU-a twice"),
        ("0,GPU-a", 2, "names GPU-a twice"),
        ("0;1", 2, "'0;1' is no card; write all, or indices or UUIDs with commas: 0,1"),
        ("", 2, "is no card"),
        ("0,7", 3, "no NVIDIA GPU '7'"),
        ("0,\N{SUPERSCRIPT TWO}", 2, "is no card; write all, or indices or UUIDs"),
        ("0,4294967296", 2, "'4294967296' is no card"),
        ("0,GPU-other", 3, "one study compares cards of one product"),
    ],
)
def test_cards_that_cannot_be_had_are_refused_in_a_line(tmp_path, devices, code, words):
    spec = live_on_cards(tmp_path)
    for more in ((), ("--dry-run",)):
        run = run_script("run_study.py", spec, "--devices", devices, "--out", tmp_path, *more)
        assert run.returncode == code and words in run.stderr and run.stderr.count("\n") == 1


@pytest.mark.parametrize(("retries_asked", "retries"), [(None, 2), (0, 0), (5, 5)])
def test_lanes_try_a_lost_trial_again_as_often_as_is_asked(monkeypatch, retries_asked, retries):
    class Seen(Exception):
        pass

    def lanes_on(*arguments):
        raise Seen(arguments[-1].retries)

    monkeypatch.setattr(run_measuring, "lanes_on", lanes_on)
    this = SimpleNamespace(
        options=RunOptions(retries=retries_asked),
        terminal=SimpleNamespace(line=print),
        folder=Path(),
        cluster=None,
    )
    source = SimpleNamespace(bench=None, lanes=())
    with pytest.raises(Seen, match=f"^{retries}$"):
        run_measuring.measured_in_lanes(this, source, optuna.create_study())
