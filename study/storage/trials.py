"""One row a trial: what was asked, what was measured, what it was worth. The only reader of trial attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from objectives.allocation import Allocation
from objectives.diagnosis.diagnose import Diagnosis
from objectives.measurement import Measurement

BASELINE, NOT_STARTED, INTERRUPTED = "baseline", "not_started", "interrupted"
REPLICATE = "replicate"  # the role of a trial that measures a known configuration once more
BRIDGE = "bridge"  # the role of a baseline that is measured again on another card


@dataclass(frozen=True, slots=True)
class Trial:
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
    is_reference: bool
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
        figures = self.measurement.figures() if self.measurement else dict(self.measured)
        figures.pop("wall_s", None)  # said below
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


def rows(study: optuna.Study) -> list[Trial]:
    """Every trial that was asked whole and has ended, in order of its number."""
    ended = study.get_trials(
        deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
    )
    return [row(t) for t in ended if t.user_attrs.get("allocation")]


def counted(study: optuna.Study) -> list[Trial]:
    """The trials that use budget."""
    return [r for r in rows(study) if r.counts]


def row(trial: FrozenTrial) -> Trial:
    """One ended trial."""
    kept = trial.user_attrs
    status = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned"}.get(
        trial.state, kept.get("why", "failed")
    )
    measurement = Measurement.from_json(kept["measurement"]) if kept.get("measurement") else None
    return Trial(
        number=trial.number,
        allocation=Allocation(kept["allocation"]),
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
        is_reference=bool(kept.get("is_reference")),
        wall_s=float(kept.get("wall_s", 0.0)),
        seed=kept.get("seed"),
        at=kept.get("at"),
    )


@dataclass(frozen=True, slots=True)
class Begun:
    """A trial that begins; generation and role are the tournament's, None and empty for another sampler."""

    number: int
    allocation: Allocation
    generation: int | None = None
    role: str = ""


@dataclass(frozen=True, slots=True)
class Birth:
    """Where a trial of the tournament comes from; role: random, child, fresh, enqueued, repeat, replicate ..."""

    number: int
    generation: int
    role: str
    parents: tuple[int, ...]


def births(study: optuna.Study) -> list[Birth]:
    """Of every trial that the tournament proposed; none for another sampler."""
    return [
        Birth(
            t.number, kept["generation"], str(kept.get("role", "")), tuple(kept.get("parents", ()))
        )
        for t in study.get_trials(deepcopy=False)
        if "generation" in (kept := t.user_attrs)
    ]


def measured_in(found: list[Trial]) -> list[tuple[Allocation, Measurement]]:
    """What was measured, by allocation."""
    return [(r.allocation, r.measurement) for r in found if r.measurement is not None]
