"""Several processes measure one study: none repeats another's work, and all give one answer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
from made.factories import make
from processes.commands import ROOT
from processes.forks import Forked, script

from objectives import waiting
from objectives.search_space.parameter import Parameter
from objectives.search_space.space import Space
from study.search.opening import open_study as opening
from study.search.others import elsewhere, wait_for
from study.storage.owner import PROCESS, Owner

ME = Owner.me()


@pytest.fixture
def other() -> Iterator[Owner]:
    """Provide another process of this host, as an owner of trials."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started_s = psutil.Process(process.pid).create_time()
        yield replace(ME, pid=process.pid, started_s=started_s)
        process.kill()


def asked(study: optuna.Study, owner: Owner) -> optuna.Trial:
    trial = study.ask()
    trial.set_user_attr(PROCESS, owner.to_json())
    return trial


def test_a_trial_of_another_that_lives_is_elsewhere(other: Owner) -> None:
    study = optuna.create_study()
    theirs = [asked(study, other), asked(study, replace(ME, host="far", boot="away"))]
    asked(study, ME)
    asked(study, replace(other, started_s=0.0))  # it died, and its pid is another's
    asked(study, other)
    study.tell(study.trials[-1].number, 1.0)
    assert [t.number for t, _ in elsewhere(study)] == [t.number for t in theirs]


def test_those_of_this_host_are_waited_for(other: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    study, lines = optuna.create_study(), list[str]()
    theirs = asked(study, other)
    asked(study, replace(ME, host="far", boot="away"))
    monkeypatch.setattr(waiting, "sleep", lambda _: study.tell(theirs, 1.0))
    assert wait_for(study, lambda t: t.number == theirs.number, "the baseline", lines.append)
    assert lines == ["waiting for the baseline, which another process measures: trial 0"]
    assert not wait_for(study, lambda _: True, "the last trials", lines.append)


def test_a_study_that_was_made_since_one_looked_is_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    storage, looked = optuna.storages.InMemoryStorage(), opening.succession

    def late(*arguments: Any) -> list[str]:
        seen = looked(*arguments)
        monkeypatch.setattr(opening, "succession", looked)
        begun()  # by another process, after this one has looked
        return seen

    def begun() -> optuna.Study:
        space = Space((Parameter("vllm_memory_util", (0.4, 0.5)),), {})
        how = {"storage": storage, "name": "s", "sampler_name": "random", "seed": 0}
        return opening.open_study(space, {}, {"a": 1}, **how, fresh=False, folder=Path())

    monkeypatch.setattr(opening, "succession", late)
    assert begun().study_name == "s"
    assert optuna.get_all_study_names(storage) == ["s"]


def test_two_processes_share_one_budget_one_reference_and_one_answer(tmp_path: Path) -> None:
    spec, storage = make(tmp_path), f"sqlite:///{tmp_path}/shared.db"
    line = script("run_study.py", spec, "--storage", storage, "--quiet", "--n-trials", "6")
    workers = [
        Forked(
            [*line, "--out", str(tmp_path / f"out{n}")],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for n in range(2)
    ]
    texts = [worker.communicate(timeout=300)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], texts
    (name,) = optuna.get_all_study_names(storage)
    trials = optuna.load_study(study_name=name, storage=storage).trials
    references = [t.number for t in trials if t.user_attrs.get("is_reference")]
    roles = [t.user_attrs.get("role") for t in trials]
    assert (len(trials), len(references), roles.count("baseline")) == (6, 1, 1)
    assert len({text.splitlines()[1] for text in texts}) == 1, texts
