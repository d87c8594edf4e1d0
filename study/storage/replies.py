"""This module finds the replies that were kept of each trial, to judge it by other limits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import optuna
from optuna.artifacts import get_all_artifact_meta
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

from objectives.errors import BadInput
from objectives.plain_data.by_type import ODD_DATA
from objectives.recording.kept_replies import RAMP_FILE, WINDOW_FILE, Rows, are_whole, rows_in
from study.storage.artifacts import ATTACHMENTS
from study.storage.attributes import GROWN_FROM, damaged, origin_of
from study.storage.context import context_of
from study.storage.trial import Trial


def replies_of(study: optuna.Study, trials: Sequence[Trial], folder: Path) -> dict[int, Rows]:
    """Return the requests of each launch that measured something, by the number of its trial.

    A trial that was told another's result, or was carried over from an earlier study, has the
    replies of that launch. One whose replies were not kept, do not lie here, or are not all there,
    so that they do not show what was measured, is left out.

    Args:
        study: The study of the trials.
        trials: What it measured.
        folder: The folder of the study.db, where the files of its trials lie.

    Raises:
        BadInput: What was kept cannot be read, or the study holds no context.
    """
    by_trial: dict[int, Rows] = {}
    for trial in trials:
        if trial.measurement is None:
            continue
        try:
            launch = _launch(study, trial.number)
        except ODD_DATA as error:
            raise BadInput(
                f"study {study.study_name}: whose result trial {trial.number} has cannot be read "
                f"({error}); the study's own limits need none"
            ) from error
        rows = _rows(study._storage, launch, folder)
        if rows is not None and are_whole(rows, trial.measurement, context_of(study).limits):
            by_trial[trial.number] = rows
    return by_trial


def _launch(study: optuna.Study, number: int) -> FrozenTrial:
    """Return the trial that was launched where this one has its result."""
    trial = study.get_trials(deepcopy=False)[number]
    if (carried_from := trial.user_attrs.get("carried_from")) is not None:
        if (earlier := origin_of(study)) is None:
            raise damaged(study, GROWN_FROM)
        return _launch(earlier, carried_from)
    if (repeat_of := trial.user_attrs.get("repeat_of")) is not None:
        return _launch(study, repeat_of)
    return trial


def _rows(storage: BaseStorage, trial: FrozenTrial, folder: Path) -> Rows | None:
    files = {
        kept.filename: folder / ATTACHMENTS / kept.artifact_id
        for kept in get_all_artifact_meta(trial, storage=storage)
        if kept.filename in (WINDOW_FILE, RAMP_FILE)
    }
    if WINDOW_FILE not in files or not all(path.exists() for path in files.values()):
        return None  # none were kept, or the study.db was moved without them
    try:
        return rows_in(files[WINDOW_FILE], files.get(RAMP_FILE))
    except BadInput as error:
        raise BadInput(
            f"the replies of trial {trial.number} cannot be read: {error}; "
            "the study's own limits need none"
        ) from error
