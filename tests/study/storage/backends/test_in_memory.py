"""A replay runs on a copy of its study in memory, and leaves in its file what it would have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
from made.factories import make
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, TrialState
from processes.commands import run_study

from study import run_measuring
from study.storage.backends.in_memory import in_memory, may_be_in_memory


def opened(file: Path, name: str = "s") -> optuna.Study:
    storage = optuna.storages.get_storage(f"sqlite:///{file}")
    return optuna.create_study(
        storage=storage,
        study_name=name,
        sampler=RandomSampler(seed=1),
        direction="maximize",
        load_if_exists=True,
    )


def told(study: optuna.Study, *numbers: float) -> None:
    for number in numbers:
        trial = study.ask()
        trial.suggest_float("x", 0.0, 10.0)
        trial.set_user_attr("pair", (number, "a"))
        trial.set_constraint("memory", -number)
        trial.report(number, 3)
        study.tell(trial, number)


def kept(study: optuna.Study) -> list[tuple[Any, ...]]:
    """Return all that a study holds of its trials but their times."""

    def of(t: FrozenTrial) -> tuple[Any, ...]:
        own = {k: v for k, v in t.user_attrs.items() if k not in ("process", "at")}
        system = {k: v for k, v in t.system_attrs.items() if not k.startswith("artifacts")}
        files = len(t.system_attrs) - len(system)
        values = t.state, t.values, t.params, t.distributions, t.intermediate_values
        return (t.number, *values, t.constraints, own, system, files)

    return [of(t) for t in study.get_trials(deepcopy=False)]


def test_what_a_block_adds_is_stored_after_what_was_there(tmp_path: Path) -> None:
    study = opened(tmp_path / "s.db")
    study.set_user_attr("before", 1)
    told(study, 1.0)
    with in_memory(study) as copy:
        assert copy.user_attrs == {"before": 1} and copy.sampler is study.sampler
        told(copy, 2.0, 3.0)
        copy.set_user_attr("after", (2,))
        held = kept(copy)
        assert len(kept(study)) == 1
    again = opened(tmp_path / "s.db")
    assert kept(again) == held == kept(study)
    assert [t.user_attrs["pair"] for t in again.trials] == [[n, "a"] for n in (1.0, 2.0, 3.0)]
    assert again.user_attrs == {"before": 1, "after": [2]}
    assert all(t.datetime_start <= t.datetime_complete for t in again.trials)


def test_what_an_interrupted_block_had_added_is_stored_too(tmp_path: Path) -> None:
    study = opened(tmp_path / "s.db")
    with pytest.raises(KeyboardInterrupt), in_memory(study) as copy:
        told(copy, 1.0)
        copy.enqueue_trial({"x": 2.0})
        copy.ask()
        raise KeyboardInterrupt
    assert [t.state for t in opened(tmp_path / "s.db").trials] == [
        TrialState.COMPLETE,
        TrialState.RUNNING,
    ]


def test_a_study_with_an_open_trial_stays_where_it_is(tmp_path: Path) -> None:
    whole, begun = (opened(tmp_path / "s.db", name) for name in ("whole", "begun"))
    told(whole, 1.0)
    begun.enqueue_trial({"x": 1.0})
    assert [may_be_in_memory(s) for s in (whole, begun)] == [True, False]


def test_a_replay_in_memory_leaves_what_one_in_its_file_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = []

    @contextmanager
    def noted(study: optuna.Study) -> Iterator[optuna.Study]:
        with in_memory(study) as copy:
            used.append(study.study_name)
            yield copy

    monkeypatch.setattr(run_measuring, "in_memory", noted)
    spec, both = make(tmp_path), []
    for out in ("memory", "file"):
        url = f"sqlite:///{tmp_path / out / 'made/study.db'}"  # named, it may have other writers
        more = ("--storage", url) if out == "file" else ()
        (tmp_path / out / "made").mkdir(parents=True)
        # the second run goes on with what the first one left, the third with other weights
        for words in (("--n-trials", 4), (), ("--preset", "capacity")):
            ran = run_study(spec, "--out", tmp_path / out, *words, *more)
            assert ran.returncode == 0, ran.stderr
        held = []
        for name in ("made-tournament-0", "made-tournament-0-2"):
            study = opened(tmp_path / out / "made/study.db", name)
            own = {k: v for k, v in study.user_attrs.items() if k != "promotion"}  # which is a path
            attributes = study._storage.get_study_system_attrs(study._study_id)
            held.append((kept(study), own, attributes))
        lines = (tmp_path / out / "made/epoch_1/metrics.jsonl").read_text().splitlines()
        both.append((held, [line.partition('"at": ')[0] for line in lines]))
    assert used == ["made-tournament-0"] * 2 + ["made-tournament-0-2"]
    assert both[0] == both[1]
    assert [len(trials) for trials, _, _ in both[0][0]] == [10, 10]
