"""One row a trial: what was asked, what was measured, what it was worth. The only reader of trial attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from objectives.allocation import Allocation, Space
from objectives.diagnosis import Diagnosis
from objectives.measurement import Measurement
from study.scoring import Score, failure_constraint

BASELINE, NOT_STARTED, INTERRUPTED = "baseline", "not_started", "interrupted"


@dataclass(frozen=True, slots=True)
class Row:
    """One trial that has ended.

    status: complete, pruned, failed, not_started, interrupted; repeat_of: the trial whose result it was told
    wall_s: what the measurement took where it was made, seconds
    """

    number: int
    allocation: Allocation
    status: str
    fitness: float | None
    measurement: Measurement | None
    diagnosis: Diagnosis | None
    measured: Mapping[str, Any]
    constraints: Mapping[str, float]
    contributions: Mapping[str, float | None]
    word_gate: str | None
    minutes_more_audio: float | None
    repeat_of: int | None
    wall_s: float
    seed: int | None
    at: str | None

    @property
    def counts(self) -> bool:
        """Whether it uses budget: a trial that was never measured does not."""
        return self.status not in (NOT_STARTED, INTERRUPTED)

    @property
    def is_known(self) -> bool:
        """Whether the configuration needs no further launch."""
        return self.status in ("complete", "pruned")

    @property
    def is_feasible(self) -> bool:
        """Complete, with every constraint met."""
        return self.status == "complete" and all(v <= 0 for v in self.constraints.values())

    def to_json(self, test_id: str) -> dict[str, Any]:
        """One line of metrics.jsonl."""
        figures = self.measurement.to_json() if self.measurement else dict(self.measured)
        for long in ("word_errors", "ladder"):
            figures.pop(long, None)
        return {
            "test_id": test_id,
            "trial": self.number,
            "status": self.status,
            "parameters": dict(self.allocation.values),
            "fitness": self.fitness,
            "contributions": dict(self.contributions),
            "constraints": dict(self.constraints),
            "word_gate": self.word_gate,
            "minutes_more_audio": self.minutes_more_audio,
            "repeat_of": self.repeat_of,
            "failure": asdict(self.diagnosis) if self.diagnosis else None,
            "wall_s": self.wall_s,
            "seed": self.seed,
            "at": self.at,
            **figures,
        }


def rows(study: optuna.Study, space: Space) -> list[Row]:
    """Every trial that has ended, in order of its number."""
    ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL))
    return [row(t, space) for t in ended if t.user_attrs.get("allocation") or t.params]


def row(trial: FrozenTrial, space: Space) -> Row:
    """One ended trial."""
    kept = trial.user_attrs
    status = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned"}.get(trial.state, kept.get("why", "failed"))
    measurement = Measurement.from_json(kept["measurement"]) if kept.get("measurement") else None
    values = kept.get("allocation")
    return Row(
        number=trial.number,
        allocation=Allocation(values) if values else space.decode(trial.params),
        status=str(status),
        fitness=0.0 if trial.state == TrialState.PRUNED else trial.value,
        measurement=measurement,
        diagnosis=Diagnosis(**kept["failure"]) if kept.get("failure") else None,
        measured=kept.get("measured", {}),
        constraints=trial.constraints,
        contributions=kept.get("contributions", {}),
        word_gate=kept.get("word_gate"),
        minutes_more_audio=kept.get("minutes_more_audio"),
        repeat_of=kept.get("repeat_of"),
        wall_s=float(kept.get("wall_s", 0.0)),
        seed=kept.get("seed"),
        at=kept.get("at"),
    )


def note(trial: optuna.Trial, **attributes: object) -> None:
    """Store attributes of a trial; what was not measured stays away, so that no zero is invented."""
    for name, value in attributes.items():
        if value is not None:
            trial.set_user_attr(name, value)


def tell_score(study: optuna.Study, trial: optuna.Trial, measured: Measurement, scored: Score) -> None:
    """COMPLETE with its fitness and every constraint."""
    data = measured.to_json()
    figures = {k: v for k, v in data.items() if k not in ("word_errors", "ladder") and v is not None}
    note(trial, measurement=data, contributions=scored.fitness.contributions(), **figures)
    note(trial, word_gate=scored.word_gate.verdict, minutes_more_audio=scored.word_gate.minutes_more_audio)
    for name, value in scored.constraints.items():
        trial.set_constraint(name, value)
    study.tell(trial, scored.fitness.value)


def tell_failure(
    study: optuna.Study, trial: optuna.Trial, diagnosis: Diagnosis, measured: Mapping[str, Any], *, is_oom: bool
) -> None:
    """PRUNED with a graded constraint and fitness 0.0 where the allocation does not work; else FAIL."""
    note(trial, failure=asdict(diagnosis), failure_class=diagnosis.failure_class, evidence=diagnosis.evidence)
    note(trial, measured=dict(measured))
    if not is_oom:
        study.tell(trial, state=TrialState.FAIL)
        return
    trial.set_constraint("memory", failure_constraint(diagnosis, measured.get("device_total_mib")))
    trial.report(0.0, 0)
    study.tell(trial, state=TrialState.PRUNED)


def give_up(study: optuna.Study, trial: optuna.Trial, why: str) -> None:
    """FAIL without a result: it uses no budget, and its configuration comes first next time."""
    note(trial, why=why)
    study.tell(trial, state=TrialState.FAIL)
