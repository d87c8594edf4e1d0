"""The trials of an experiment's study as records, the same for every kind of experiment."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import optuna
from optuna.trial import TrialState

FAILED_FITNESS = -1e18  # as the ancestor writes it, where its readers look for failures


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record is one candidate that was evaluated, or failed.

    Args:
        number: Its number in the study.
        test_id: Its name over all studies.
        ts: When it ended, seconds since 1970.
        params: The candidate.
        figures: What was measured, flat.
        canonical: The same, with mapped names.
        fitness: What it is worth; None where it failed.
        status: What became of it.
        error: Why it failed; None where it did not.
        study: The name of its study.
        is_carried: Whether an earlier study measured it.
        extra: What its line of metrics.jsonl has beside that.
    """

    number: int
    test_id: str
    ts: int
    params: Mapping[str, Any]
    figures: Mapping[str, Any]
    canonical: Mapping[str, Any]
    fitness: float | None
    status: str
    error: str | None = None
    study: str = ""
    is_carried: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LeadingCandidate:
    """A leader is a candidate with the mean of its evaluations.

    Args:
        params: The candidate.
        fitness: Their mean.
        figures: What the first of them measured.
        count: How many there are.
    """

    params: Mapping[str, Any]
    fitness: float
    figures: Mapping[str, Any]
    count: int


def trial_id(slug: str, study_name: str, number: int) -> str:
    """Return the name of a trial: the experiment's, and eight digits that no other trial has."""
    digest = hashlib.sha256(f"{study_name}/{number}".encode()).hexdigest()
    return f"{slug}-{digest[:8]}"


def records_of(study: optuna.Study, slug: str) -> list[Record]:
    """Return what the study has evaluated itself, in order; repeats of known ones are left out."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.FAIL))
    return [
        Record(
            number=t.number,
            test_id=trial_id(slug, study.study_name, t.number),
            ts=int((t.datetime_complete or datetime.now(UTC)).timestamp()),
            params=t.user_attrs["candidate"],
            figures=t.user_attrs.get("figures", {}),
            canonical=t.user_attrs.get("canonical", {}),
            fitness=t.value if t.state is TrialState.COMPLETE else None,
            status="complete" if t.state is TrialState.COMPLETE else "failed",
            error=t.user_attrs.get("error"),
            study=study.study_name,
            is_carried="carried" in t.user_attrs,
            extra={"failure_class": f} if (f := t.user_attrs.get("failure")) else {},
        )
        for t in trials
        if is_counted(t)
    ]


def is_counted(trial: optuna.trial.FrozenTrial) -> bool:
    """Say whether a trial was evaluated: not a repeat, and not interrupted."""
    attributes = trial.user_attrs
    return "candidate" in attributes and not {"why", "repeat_of"} & attributes.keys()


def leaders(records: Iterable[Record]) -> list[LeadingCandidate]:
    """Return every candidate that was measured, best first."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        if record.fitness is not None:
            groups.setdefault(repr(sorted(record.params.items())), []).append(record)
    candidates = [
        LeadingCandidate(
            group[0].params,
            sum(r.fitness or 0.0 for r in group) / len(group),
            group[0].figures,
            len(group),
        )
        for group in groups.values()
    ]
    return sorted(candidates, key=lambda leader: -leader.fitness)


def best_of(records: Sequence[Record]) -> LeadingCandidate | None:
    """Return the best candidate; None where nothing was measured."""
    return next(iter(leaders(records)), None)
