"""A trial is one record: what was launched and measured, what it was worth, and its role."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from objectives.allocation import Allocation
from objectives.diagnosis.diagnosis import Diagnosis
from objectives.measurement import Measurement
from objectives.speech.wer import WordVerdict

BASELINE = "baseline"  # the role of the allocation in use today, measured first
REPLICATE = "replicate"  # the role of a trial that measures a known configuration once more
BRIDGE = "bridge"  # the role of a baseline that is measured again on another card
DOMINATED = "dominated"  # the user attribute `pruned` of a trial that was given up
NOT_SHOWN = "words_not_shown"  # a constraint that a tournament alone reads: it cannot be promoted


class State(StrEnum):
    """The state says what became of a trial that has ended."""

    COMPLETE = "complete"
    PRUNED = "pruned"  # the allocation does not work: it ran out of memory, or would
    DOMINATED = "dominated"  # it works, and was given up in the middle: it could not win
    FAILED = "failed"  # something failed that may not be the allocation's doing
    NOT_STARTED = "not_started"
    INTERRUPTED = "interrupted"


NEVER_MEASURED = (State.NOT_STARTED, State.INTERRUPTED)


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial has ended.

    Args:
        number: Its number in the study.
        allocation: What was launched.
        state: What became of it.
        fitness: 0 where the allocation does not work; None where it was not measured whole.
        measurement: What a complete launch measured.
        diagnosis: Why it failed.
        measured: What had been measured by the time it failed, by flat name.
        constraints: Shares without a unit, met when <= 0.
        contributions: What each term adds to the fitness.
        word_gate: Whether its word errors pass; None where nothing was measured.
        minutes_more_audio: How much more audio would decide it, minutes; None where it is decided.
        repeat_of: The trial whose result it was given; None where it was launched.
        is_reference: Whether the terms of all others are relative to it.
        wall_s: What the measurement took where it was made, seconds.
        seed: The seed of its workload.
        at: When it began, ISO 8601.
        optimistic_fitness: The most that its fitness could have become where it was given up.
        own_card: The card whose own baseline its fitness is relative to; None for the study's one
            reference.
        card: The card whose lane measured it, or failed to; None for the study's only one.
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
    word_gate: WordVerdict | None
    minutes_more_audio: float | None
    repeat_of: int | None
    is_reference: bool
    wall_s: float
    seed: int | None
    at: str | None
    optimistic_fitness: float | None = None
    own_card: str | None = None
    card: str | None = None

    @property
    def counts(self) -> bool:
        """Return whether it uses budget: a trial that was never measured does not."""
        return self.state not in NEVER_MEASURED

    @property
    def is_known(self) -> bool:
        """Return whether the configuration needs no further launch."""
        return self.state in (State.COMPLETE, State.PRUNED, State.DOMINATED)

    @property
    def launched_on(self) -> str | None:
        """Return the UUID of the card that it was launched on; None where nobody noted it."""
        return (self.measurement.measured_on if self.measurement else None) or self.card

    @property
    def is_feasible(self) -> bool:
        """Return whether it is complete with every constraint met."""
        return self.state is State.COMPLETE and all(v <= 0 for v in self.constraints.values())

    def to_json(self, test_id: str) -> dict[str, Any]:
        """Return one line of metrics.jsonl."""
        figures = self.measurement.flat() if self.measurement else dict(self.measured)
        figures.pop("wall_s", None)  # it comes below
        own = {name: value_of(self) for name, value_of in OF_LINE.items()}
        return {"test_id": test_id, **own, **figures}


# of a line of metrics.jsonl, what is no figure
OF_LINE: Mapping[str, Callable[[Trial], Any]] = {
    "trial": lambda t: t.number,
    "status": lambda t: t.state,
    "parameters": lambda t: dict(t.allocation.values),
    "fitness": lambda t: t.fitness,
    "optimistic_fitness": lambda t: t.optimistic_fitness,
    "contributions": lambda t: dict(t.contributions),
    "constraints": lambda t: dict(t.constraints),
    "word_gate": lambda t: t.word_gate,
    "minutes_more_audio": lambda t: t.minutes_more_audio,
    "repeat_of": lambda t: t.repeat_of,
    "failure": lambda t: asdict(t.diagnosis) if t.diagnosis else None,
    "wall_s": lambda t: t.wall_s,
    "seed": lambda t: t.seed,
    "at": lambda t: t.at,
}


@dataclass(frozen=True, slots=True)
class Begun:
    """A trial begins.

    Args:
        number: Its number in the study.
        allocation: What is launched.
        generation: The generation of the tournament; None for another sampler.
        role: Its role in the tournament; empty for another sampler.
    """

    number: int
    allocation: Allocation
    generation: int | None = None
    role: str = ""


def measured_in(trials: list[Trial]) -> list[tuple[Allocation, Measurement]]:
    """Return what was measured, each with its allocation."""
    return [(t.allocation, t.measurement) for t in trials if t.measurement is not None]
