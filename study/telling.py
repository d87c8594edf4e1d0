"""How trials end: told their score, their failure, or given up; or added whole, as an earlier study measured them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import optuna
from optuna.trial import TrialState

from objectives.allocation import Space
from objectives.diagnosis.diagnose import Diagnosis
from objectives.measurement import Measurement, plain
from study.scoring import Score, broken, failure_constraint
from study.storage.trials import Row


def note(trial: optuna.Trial, **attributes: object) -> None:
    """Store attributes of a trial; what was not measured stays away, so that no zero is invented."""
    for name, value in attributes.items():
        if value is not None:
            trial.set_user_attr(name, value)


def tell_score(study: optuna.Study, trial: optuna.Trial, measured: Measurement, scored: Score) -> None:
    """COMPLETE with its fitness and every constraint."""
    note(trial, **_scored(measured, scored))
    for name, value in scored.constraints.items():
        trial.set_constraint(name, value)
    study.tell(trial, scored.fitness.value)


def tell_failure(
    study: optuna.Study, trial: optuna.Trial, diagnosis: Diagnosis, measured: Mapping[str, Any], *, is_oom: bool
) -> None:
    """PRUNED with a graded constraint and fitness 0.0 where the allocation does not work; else FAIL."""
    note(trial, **_failed(diagnosis, measured))
    if not is_oom:
        study.tell(trial, state=TrialState.FAIL)
        return
    trial.set_constraint(broken(diagnosis), failure_constraint(diagnosis, measured.get("device_total_mib")))
    trial.report(0.0, 0)
    study.tell(trial, state=TrialState.PRUNED)


def carry(
    study: optuna.Study, space: Space, r: Row, scored: Score | None, repeat_of: int | None, *, spent: bool = False
) -> None:
    """Add what an earlier study has measured as one ended trial, whole or not at all; `scored` by today's weights."""
    attributes: dict[str, Any] = {
        "allocation": dict(r.allocation.values),
        "carried_from": r.number,
        "repeat_of": repeat_of,
        "spent": spent or None,
        "is_reference": r.is_reference or None,
        "wall_s": r.wall_s,
        "seed": r.seed,
        "at": r.at,
    }
    result: dict[str, Any] = {"state": TrialState.FAIL}
    if r.measurement is not None and scored is not None:
        attributes |= _scored(r.measurement, scored)
        result = {"value": scored.fitness.value, "constraints": dict(scored.constraints)}
    elif r.diagnosis is not None:
        attributes |= _failed(r.diagnosis, r.measured)
        if r.status == "pruned":
            result = {"state": TrialState.PRUNED, "value": 0.0, "intermediate_values": {0: 0.0}}
            result["constraints"] = dict(r.constraints)
    study.add_trial(
        optuna.trial.create_trial(
            params=dict(space.encode(r.allocation)),
            distributions=space.distributions(),
            user_attrs={k: v for k, v in attributes.items() if v is not None},
            **result,
        )
    )


def _scored(measured: Measurement, scored: Score) -> dict[str, Any]:
    """The attributes of a complete trial."""
    figures = {k: v for k, v in measured.figures().items() if v is not None}
    return {
        "measurement": measured.to_json(),
        "contributions": scored.fitness.contributions(),
        "word_gate": scored.word_gate.verdict,
        "minutes_more_audio": scored.word_gate.minutes_more_audio,
        "is_feasible": scored.is_feasible,
        **figures,
    }


def _failed(diagnosis: Diagnosis, measured: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a failed trial; an infinite latency is the string "inf", since JSON has no infinity."""
    return {
        "failure": asdict(diagnosis),
        "failure_class": diagnosis.failure_class,
        "evidence": diagnosis.evidence,
        "is_feasible": False,
        "measured": plain(dict(measured)),
    }


def give_up(study: optuna.Study, trial: optuna.Trial, why: str) -> None:
    """FAIL without a result: it uses no budget, and its configuration comes first next time.

    A trial that was told just before it was interrupted keeps its result.
    """
    if study.get_trials(deepcopy=False)[trial.number].state.is_finished():
        return
    note(trial, why=why)
    study.tell(trial, state=TrialState.FAIL)
