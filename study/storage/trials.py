"""One record a trial: what was launched, what was measured, what it was worth. Reads all trial attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from objectives.allocation import Allocation
from objectives.diagnosis.diagnose import Diagnosis
from objectives.measurement import Measurement
from objectives.plain_data.names_of_0_1 import current_names

BASELINE = "baseline"  # the role of the allocation in use today, measured first
REPLICATE = "replicate"  # the role of a trial that measures a known configuration once more
BRIDGE = "bridge"  # the role of a baseline that is measured again on another card


class State(StrEnum):
    """What became of a trial that has ended."""

    COMPLETE = "complete"
    PRUNED = "pruned"  # the allocation does not work: it ran out of memory, or would
    FAILED = "failed"  # something failed that may not be the allocation's doing
    NOT_STARTED = "not_started"
    INTERRUPTED = "interrupted"


NEVER_MEASURED = (State.NOT_STARTED, State.INTERRUPTED)


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial that has ended.

    Args:
        state: what became of it
        measured: what had been measured by the time it failed, by flat name
        constraints: shares without a unit, met when <= 0
        repeat_of: the trial whose result it was told; None where it was launched
        wall_s: what the measurement took where it was made, seconds
        at: when it began, ISO 8601
    """

    number: int
    allocation: Allocation
    state: State
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
        return self.state not in NEVER_MEASURED

    @property
    def is_known(self) -> bool:
        """Whether the configuration needs no further launch."""
        return self.state in (State.COMPLETE, State.PRUNED)

    @property
    def is_feasible(self) -> bool:
        """Complete, with every constraint met."""
        return self.state is State.COMPLETE and all(v <= 0 for v in self.constraints.values())

    def to_json(self, test_id: str) -> dict[str, Any]:
        """One line of metrics.jsonl."""
        figures = self.measurement.flat() if self.measurement else dict(self.measured)
        figures.pop("wall_s", None)  # said below
        return {
            "test_id": test_id,
            "trial": self.number,
            "status": self.state,
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
    measurement = Measurement.from_json(kept["measurement"]) if kept.get("measurement") else None
    return Trial(
        number=trial.number,
        allocation=Allocation(kept["allocation"]),
        state=_state(trial),
        fitness=0.0 if trial.state == TrialState.PRUNED else trial.value,
        measurement=measurement,
        diagnosis=Diagnosis(**kept["failure"]) if kept.get("failure") else None,
        measured=current_names(kept.get("measured", {})),
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


def _state(trial: FrozenTrial) -> State:
    match trial.state:
        case TrialState.COMPLETE:
            return State.COMPLETE
        case TrialState.PRUNED:
            return State.PRUNED
    why = trial.user_attrs.get("why")
    return next((state for state in NEVER_MEASURED if state == why), State.FAILED)


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
