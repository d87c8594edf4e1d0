"""Read trials and write attributes by plain statements, in half of the time of Optuna's way.

Optuna makes an object of each row, which watches whether it is changed; here the rows themselves
are handed to what Optuna makes a trial of. It writes each attribute in a transaction of its own.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from copy import copy
from typing import Any, cast

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
        for name, values in (
            ("user_attributes", template_trial.user_attrs),
            ("system_attributes", template_trial.system_attrs),
        ):
            rows = [
                {"trial_id": trial.trial_id, "key": key, "value_json": json.dumps(value)}
                for key, value in values.items()
            ]
            if rows:
                session.connection().execute(insert(PARTS[name]), rows)
        return trial

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
    """The rows of one trial, by the names under which Optuna looks for them."""

    datetime_start = models.TrialModel.datetime_start
    datetime_complete = models.TrialModel.datetime_complete

    def __init__(self, row: Row[Any], parts: dict[str, dict[int, Rows]]) -> None:
        self.trial_id, self.number, self.state = row.trial_id, row.number, row.state
        self._datetime_start_utc = row.datetime_start
        self._datetime_complete_utc = row.datetime_complete
        for name, rows in parts.items():
            setattr(self, name, rows.get(self.trial_id, []))


def _by_trial(session: Session, table: Any, is_asked: ColumnElement[bool]) -> dict[int, Rows]:
    rows = defaultdict[int, Rows](list)
    for row in session.execute(select(table).join(TRIALS).where(is_asked)):
        rows[row.trial_id].append(row)
    return rows
