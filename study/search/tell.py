"""Trials end here: they are told their score or their failure, or given up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState

from objectives.diagnosis.diagnosis import Diagnosis
from objectives.errors import SetupError
from objectives.evaluation import Failure
from objectives.measurement import Measurement
from objectives.plain_data.infinity import plain
from study.search.score import Score, broken, failure_constraint
from study.storage.backends.writes import together
from study.storage.trial import DOMINATED, NOT_SHOWN, State
from study.tournament import TournamentSampler


def set_attributes(trial: optuna.Trial, **attributes: object) -> None:
    """Store attributes of a trial; what was not measured stays away: no zero is invented."""
    for name, value in attributes.items():
        if value is not None:
            trial.set_user_attr(name, value)


def tell_score(
    study: optuna.Study, trial: optuna.Trial, measured: Measurement, scored: Score
) -> None:
    """End a trial as COMPLETE with its fitness and every constraint."""
    set_attributes(trial, **scored_attributes(measured, scored))
    for name, value in constraints_for(study, scored).items():
        trial.set_constraint(name, value)
    study.tell(trial, scored.fitness.value)


def constraints_for(study: optuna.Study, scored: Score) -> dict[str, float]:
    """Return the constraints of a complete trial; GP wants the same names in every one."""
    if isinstance(study.sampler, TournamentSampler):
        return scored.for_tournament
    return dict(scored.constraints)


def tell_failure(study: optuna.Study, trial: optuna.Trial, failure: Failure) -> None:
    """End a trial that failed.

    A ruled-out allocation is PRUNED with a graded constraint and fitness 0.0; others FAIL.
    """
    diagnosis, measured = failure.diagnosis, failure.measured
    set_attributes(trial, **failed_attributes(diagnosis, measured))
    if not failure.is_ruled_out:
        study.tell(trial, state=TrialState.FAIL)
        return
    short = failure_constraint(diagnosis, measured.get("device_total_mib"))
    trial.set_constraint(broken(diagnosis), short)
    _report(study, trial, 0.0)
    study.tell(trial, state=TrialState.PRUNED)


def tell_dominated(
    study: optuna.Study,
    trial: optuna.Trial,
    measured: Mapping[str, Any],
    optimistic: float,
    constraints: Mapping[str, float],
) -> None:
    """End a trial that was given up as PRUNED.

    Args:
        measured: The figures known by then, by flat name.
        optimistic: The most that its fitness could have become, which is its value.
        constraints: They are met as far as was measured, but for what its words bar.
    """
    set_attributes(trial, pruned=DOMINATED, measured=plain(dict(measured)))
    for name, value in constraints.items():
        trial.set_constraint(name, value if name == NOT_SHOWN else min(0.0, value))
    _report(study, trial, optimistic)
    study.tell(trial, state=TrialState.PRUNED)


def _report(study: optuna.Study, trial: optuna.Trial, value: float) -> None:
    """Let a value be the last report, which is that of a pruned trial; no step is reported twice.

    `Trial.report` knows what it reported, also in a transaction that came to nothing.
    """
    reports = study.get_trials(deepcopy=False)[trial.number].intermediate_values
    if not reports or reports[max(reports)] != value:
        step = max(reports, default=-1) + 1
        study._storage.set_trial_intermediate_value(trial._trial_id, step, value)


def scored_attributes(measured: Measurement, scored: Score) -> dict[str, Any]:
    """Return the attributes of a complete trial."""
    return {
        "measurement": measured.to_json(),
        "contributions": dict(scored.fitness.contributions),
        "word_gate": scored.word_gate.verdict.value,
        "minutes_more_audio": scored.word_gate.minutes_more_audio,
        "is_feasible": scored.is_feasible,
    }


def failed_attributes(diagnosis: Diagnosis, measured: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a failed trial.

    An infinite latency is the string "inf", since JSON has no infinity.
    """
    return {
        "failure": asdict(diagnosis),
        "failure_class": diagnosis.failure_class,
        "evidence": diagnosis.evidence,
        "is_feasible": False,
        "measured": plain(dict(measured)),
    }


def give_up(study: optuna.Study, trial: optuna.Trial, why: State) -> None:
    """End a trial as FAIL without a result.

    It uses no budget, and its configuration comes first next time. A trial that was told just
    before it was interrupted keeps its result.
    """

    def end() -> None:
        if not study.get_trials(deepcopy=False)[trial.number].state.is_finished():
            set_attributes(trial, why=why)
            study.tell(trial, state=TrialState.FAIL)

    together(study, end)


def abandon(
    study: optuna.Study,
    error: BaseException,
    begun: Sequence[optuna.Trial],
    waiting: Sequence[optuna.Trial],
) -> None:
    """Give trials back where a run ends in the middle.

    Args:
        study: The study.
        error: Why it ends.
        begun: Those that were being measured.
        waiting: Those that were not begun.
    """
    is_setup = isinstance(error, SetupError)
    # interrupted while it wrote: the next run frees what is left
    with suppress(StorageInternalError):
        for trial in begun:
            give_up(study, trial, State.NOT_STARTED if is_setup else State.INTERRUPTED)
        for trial in waiting:
            give_up(study, trial, State.NOT_STARTED)
