"""Plain statements read trials and write attributes in half of the time of Optuna's way.

Optuna makes an object of each row, which watches whether it is changed; here the rows themselves
are handed to what Optuna makes a trial of. It writes each attribute in a transaction of its own.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from copy import copy
from typing import Any, cast

from optuna.distributions import distribution_to_json
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.storages._rdb.storage import _create_scoped_session
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Row,
    and_,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

TRIALS = models.TrialModel.__table__
ATTRIBUTES = models.StudySystemAttributeModel.__table__
# the rows of a trial in other tables, by Optuna's name for them
PARTS = {
    "params": models.TrialParamModel.__table__,
    "values": models.TrialValueModel.__table__,
    "user_attributes": models.TrialUserAttributeModel.__table__,
    "system_attributes": models.TrialSystemAttributeModel.__table__,
    "intermediate_values": models.TrialIntermediateValueModel.__table__,
}
Rows = list[Row[Any]]


class PlainStorage(RDBStorage):
    """The storage reads trials by plain selects, and writes many attributes at once."""

    def _get_trials(
        self,
        study_id: int,
        states: Container[TrialState] | None,
        included_trial_ids: set[int],
        trial_id_greater_than: int,
    ) -> list[FrozenTrial]:
        """Return the trials with these ids or greater ones, in their order.

        Raises:
            KeyError: There is no such study.
            TypeError: A trial's number is none.
        """
        is_asked = and_(
            TRIALS.c.study_id == study_id,
            or_(
                TRIALS.c.trial_id > trial_id_greater_than,
                TRIALS.c.trial_id.in_(included_trial_ids),
            ),
        )
        if states is not None:
            is_asked = and_(is_asked, TRIALS.c.state.in_(cast("Iterable[TrialState]", states)))
        with _create_scoped_session(self.scoped_session) as session:
            models.StudyModel.find_or_raise_by_id(study_id, session)
            rows = session.execute(select(TRIALS).where(is_asked).order_by(TRIALS.c.trial_id)).all()
            if odd := [row for row in rows if not isinstance(row.number, int)]:
                raise TypeError(f"trial {odd[0].trial_id} has the number {odd[0].number!r}")
            if not rows:  # as a rule: most questions come where nothing has changed
                return []
            parts = {name: _by_trial(session, table, is_asked) for name, table in PARTS.items()}
            made = self._build_frozen_trial_from_trial_model
            return [made(cast("models.TrialModel", _Trial(row, parts))) for row in rows]

    def _get_prepared_new_trial(
        self, study_id: int, template_trial: FrozenTrial | None, session: Session
    ) -> models.TrialModel:
        """Store a new trial; the attributes of one that is given whole are written at once."""
        if template_trial is None:
            return super()._get_prepared_new_trial(study_id, None, session)
        bare = copy(template_trial)
        bare.user_attrs, bare.system_attrs = {}, {}
        trial = super()._get_prepared_new_trial(study_id, bare, session)
        for name in ("user_attributes", "system_attributes"):
            _insert(session, name, [(trial, template_trial)])
        return trial

    def add_trials(self, study_id: int, trials: Sequence[FrozenTrial]) -> None:
        """Store trials that are given whole behind those that are there: all of them, or none.

        Their parameters are not held against those of the others, as `create_new_trial` does.

        Raises:
            KeyError: There is no such study.
        """
        with _create_scoped_session(self.scoped_session) as session:
            models.StudyModel.find_or_raise_by_id(study_id, session, for_update=True)
            count = select(func.count()).where(TRIALS.c.study_id == study_id)
            first = session.execute(count).scalar_one()
            made = [
                models.TrialModel(
                    study_id=study_id,
                    number=first + n,
                    state=trial.state,
                    datetime_start=trial.datetime_start,
                    datetime_complete=trial.datetime_complete,
                )
                for n, trial in enumerate(trials)
            ]
            session.add_all(made)
            session.flush()  # from here on each has its id
            for name in PARTS:
                _insert(session, name, [*zip(made, trials, strict=True)])

    def set_study_system_attrs(self, study_id: int, values: Mapping[str, Any]) -> None:
        """Set several system attributes of a study: all of them, or none.

        Raises:
            IntegrityError: Another process made one of them at the same moment.
        """
        rows = [{"name": name, "json": json.dumps(value)} for name, value in values.items()]
        is_own = ATTRIBUTES.c.study_id == study_id
        key: BindParameter[str] = bindparam("name")
        made = insert(ATTRIBUTES).values(study_id=study_id, key=key, value_json=bindparam("json"))
        changed = update(ATTRIBUTES).where(is_own, ATTRIBUTES.c.key == key)
        with _create_scoped_session(self.scoped_session) as session:
            known = set(session.execute(select(ATTRIBUTES.c.key).where(is_own)).scalars())
            for statement, some in (
                (made, [row for row in rows if row["name"] not in known]),
                (
                    changed.values(value_json=bindparam("json")),
                    [r for r in rows if r["name"] in known],
                ),
            ):
                if some:
                    session.connection().execute(statement, some)


class _Trial:
    """These are the rows of one trial, by the names under which Optuna looks for them."""

    datetime_start = models.TrialModel.datetime_start
    datetime_complete = models.TrialModel.datetime_complete

    def __init__(self, row: Row[Any], parts: dict[str, dict[int, Rows]]) -> None:
        self.trial_id, self.number, self.state = row.trial_id, row.number, row.state
        self._datetime_start_utc = row.datetime_start
        self._datetime_complete_utc = row.datetime_complete
        for name, rows in parts.items():
            setattr(self, name, rows.get(self.trial_id, []))


def _params(trial: FrozenTrial) -> Iterator[dict[str, Any]]:
    for name, value in trial.params.items():
        axis = trial.distributions[name]
        yield {
            "param_name": name,
            "param_value": axis.to_internal_repr(value),
            "distribution_json": distribution_to_json(axis),
        }


def _values(trial: FrozenTrial) -> Iterator[dict[str, Any]]:
    for objective, value in enumerate(trial.values or ()):
        stored, kind = models.TrialValueModel.value_to_stored_repr(value)
        yield {"objective": objective, "value": stored, "value_type": kind}


def _intermediate_values(trial: FrozenTrial) -> Iterator[dict[str, Any]]:
    table = models.TrialIntermediateValueModel
    for step, value in trial.intermediate_values.items():
        stored, kind = table.intermediate_value_to_stored_repr(value)
        yield {"step": step, "intermediate_value": stored, "intermediate_value_type": kind}


def _attributes(values: Mapping[str, Any]) -> list[dict[str, str]]:
    return [{"key": key, "value_json": json.dumps(value)} for key, value in values.items()]


ROWS_OF: Mapping[str, Callable[[FrozenTrial], Iterable[dict[str, Any]]]] = {
    "params": _params,
    "values": _values,
    "user_attributes": lambda trial: _attributes(trial.user_attrs),
    "system_attributes": lambda trial: _attributes(trial.system_attrs),
    "intermediate_values": _intermediate_values,
}


def _insert(
    session: Session, name: str, trials: Sequence[tuple[models.TrialModel, FrozenTrial]]
) -> None:
    """Store a part of trials that are given whole, each beside the row that has its id."""
    rows = [{"trial_id": own.trial_id, **row} for own, t in trials for row in ROWS_OF[name](t)]
    if rows:
        session.connection().execute(insert(PARTS[name]), rows)


def _by_trial(session: Session, table: Any, is_asked: ColumnElement[bool]) -> dict[int, Rows]:
    rows = defaultdict[int, Rows](list)
    for row in session.execute(select(table).join(TRIALS).where(is_asked)):
        rows[row.trial_id].append(row)
    return rows
