"""Carries over what the study that this one has grown from had measured, scored by today's weights."""

from __future__ import annotations

from collections.abc import Sequence

import optuna

from study.known import Known
from study.spec.model import Spec
from study.storage.trials import Row, rows
from study.telling import carry
from study.yardstick import Yardstick


def not_held(study: optuna.Study, spec: Spec) -> list[Row]:
    """Measured rows of the study that this one has grown from and that it does not hold yet."""
    source = study.user_attrs.get("grown_from")
    if source is None:
        return []
    held = {t.user_attrs.get("carried_from") for t in study.get_trials(deepcopy=False)}
    old = optuna.load_study(study_name=source, storage=study._storage)
    kept = []
    for r in rows(old):
        try:
            spec.search_space.encode(r.allocation)
        except ValueError:
            continue  # a value that is no longer in the list
        if r.counts and r.number not in held:
            kept.append(r)
    return kept


def carry_over(known: Known, found: Sequence[Row], yardstick: Yardstick) -> None:
    """Add these rows to the study, each as one ended trial; repeats name the trial that they repeat here."""
    for r in found:
        scored = yardstick.score(r.allocation, r.measurement) if r.measurement is not None else None
        held = {t.user_attrs.get("carried_from"): t.number for t in known.study.get_trials(deepcopy=False)}
        repeat_of, spent = held.get(r.repeat_of, r.repeat_of), known.is_last(r.allocation)
        carry(known.study, known.spec.search_space, r, scored, repeat_of, spent=spent)
