"""What a damaged database keeps of a trial is refused in one line, or shown without what is odd."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState
from optuna_dashboard import get_note

from objectives.errors import BadInput
from study.dashboard.annotate import _is_ours, _save_note
from study.dashboard.births import births
from study.storage.backends.in_memory import in_memory
from study.storage.backends.writes import together
from study.storage.trials import rows
from study.storage.url import open_storage


def study_of(**attributes: Any) -> optuna.Study:
    """Return a study of one trial with these attributes."""
    study = optuna.create_study(study_name="s")
    trial = study.ask()
    for name, value in attributes.items():
        trial.set_user_attr(name, value)
    study.tell(trial, 0.5)
    return study


@pytest.mark.parametrize("share", ["\ud800", "0.5", True, [0.5], {"a": 1}])
def test_a_share_that_is_no_number_is_refused(share: Any) -> None:
    study = study_of(allocation={"vllm_memory_util": share, "whisper_model_size": "base"})
    with pytest.raises(BadInput, match=r"^study s: what trial 0 keeps cannot be read"):
        rows(study)


def test_an_allocation_without_a_speech_model_is_refused() -> None:
    with pytest.raises(BadInput, match="whisper_model_size is missing"):
        rows(study_of(allocation={"vllm_memory_util": 0.5, "whisper_model_siz": "base"}))


def test_a_complete_trial_without_a_value_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "study.db"
    study = optuna.create_study(storage=f"sqlite:///{file}", study_name="s")
    study.tell(study.ask(), 0.5)
    with closing(sqlite3.connect(file)) as opened, opened:
        opened.execute("DELETE FROM trial_values")
    damaged = optuna.load_study(study_name="s", storage=f"sqlite:///{file}")
    with pytest.raises(BadInput, match="trial 0 is complete and has no value"), in_memory(damaged):
        pass


NUMBERLESS = (
    "CREATE TABLE odd AS SELECT * FROM trials",
    "DROP TABLE trials",
    "ALTER TABLE odd RENAME TO trials",
    "UPDATE trials SET number = {number}",
)
TWICE = ("INSERT INTO trial_values SELECT 9, trial_id, 1, value, value_type FROM trial_values",)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ((*NUMBERLESS[:3], NUMBERLESS[3].format(number="NULL")), "trial 1 has the number None"),
        ((*NUMBERLESS[:3], NUMBERLESS[3].format(number="x'ed'")), r"has the number b'\\xed'"),
        (TWICE, "it has 2 values, not one"),
    ],
)
def test_a_trial_without_a_number_or_with_two_values_is_refused(
    tmp_path: Path, changes: tuple[str, ...], refusal: str
) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(storage=open_storage(url), study_name="s")
    trial = study.ask()
    allocation = {"vllm_memory_util": 0.5, "whisper_model_size": "base"}
    trial.set_user_attr("allocation", allocation)
    study.tell(trial, 0.5)
    with closing(sqlite3.connect(tmp_path / "study.db")) as opened, opened:
        for change in changes:
            opened.execute(change)
    with pytest.raises(BadInput, match=refusal):
        rows(optuna.load_study(study_name="s", storage=open_storage(url)))


def test_half_a_letter_in_a_value_is_a_question_mark() -> None:
    values = {"vllm_memory_util": 0.5, "whisper_model_size": "ba\ud800se"}
    (trial,) = rows(study_of(allocation=values))
    assert trial.allocation.speech == "ba?se"


@pytest.mark.parametrize(
    ("generation", "parents", "expected"),
    [(1, [3, 4], (3, 4)), (1, 0.5, ()), (1, "34", ()), (1, [3, None], (3,)), ("1", [3], None)],
)
def test_where_a_trial_comes_from_is_what_can_be_read(
    generation: Any, parents: Any, expected: tuple[int, ...] | None
) -> None:
    all_births = births(study_of(generation=generation, parents=parents))
    assert [birth.parents for birth in all_births] == ([] if expected is None else [expected])


def test_a_note_is_ours_whatever_it_quotes() -> None:
    study = optuna.create_study()
    _save_note(study, "a share of \ud800\x1b[2J")
    note = get_note(study)
    assert _is_ours(note) and "a share of ?" in note


@pytest.mark.parametrize("at_once", [False, True])
def test_rows_of_a_trial_that_is_gone_are_refused(tmp_path: Path, *, at_once: bool) -> None:
    """A new trial takes the id of a deleted one, whose parameters are there still."""
    url = f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(study_name="s", storage=open_storage(url))
    study.ask().suggest_float("x", 0, 1)
    with closing(sqlite3.connect(tmp_path / "study.db")) as opened, opened:
        opened.execute("DELETE FROM trials")
    study = optuna.load_study(study_name="s", storage=open_storage(url))
    trial = optuna.trial.create_trial(
        state=TrialState.RUNNING, params={"x": 0.5}, distributions={"x": FloatDistribution(0, 1)}
    )
    with pytest.raises(BadInput, match=r"is damaged \(IntegrityError: UNIQUE constraint failed"):
        if at_once:
            together(study, lambda: study.add_trial(trial))
        else:
            study.add_trial(trial)
