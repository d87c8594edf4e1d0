"""This module turns a measurement into what Optuna is told.

That is its fitness, its constraints, and the verdict of every gate.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import NamedTuple

from objectives.allocation import HEARER, Allocation
from objectives.diagnosis.diagnosis import Diagnosis, consequence_of
from objectives.fitness import Fitness, Reference, fitness, fixed_fitness, reference_of
from objectives.measurement import INFINITE, Measurement
from objectives.speech.wer import Gate, WordErrors, WordVerdict, gate_constraint, worst_gate
from objectives.traffic.clips import SHIPPED, read_clips
from objectives.traffic.workload import Workload
from study.cards.card_scales import CardScales
from study.spec.model import FitnessRule, Gates
from study.storage.context import StudyContext
from study.storage.trial import NOT_SHOWN, Trial

KV_CACHE = "kv_cache"  # a constraint, which one that did not start broke
AS_TODAY = 1  # the rank of words that today's speech configuration made, beside another share


@dataclass(frozen=True, slots=True)
class Score:
    """A score says what a complete trial is worth.

    Args:
        fitness: The fitness with its terms.
        constraints: Shares without a unit, met when <= 0.
        word_gate: Whether its words pass, fail, cannot be told or were not measured.
        is_barred: Whether its words forbid to promote it, whatever else is changed; never in a
            replay, where that would save no time.
    """

    fitness: Fitness
    constraints: Mapping[str, float]
    word_gate: Gate
    is_barred: bool = False

    @property
    def is_feasible(self) -> bool:
        """Say whether every constraint is met."""
        return all(v <= 0 for v in self.constraints.values())

    @property
    def for_tournament(self) -> dict[str, float]:
        """Return the constraints that a tournament is told.

        What cannot be promoted is no place to look for a winner, nor to breed one. What was
        launched has a KV cache that is large enough, whatever else it breaks.
        """
        if not self.is_barred:
            return dict(self.constraints)
        return {KV_CACHE: 0.0, **self.constraints, NOT_SHOWN: 0.005}


@dataclass(frozen=True, slots=True)
class Scorer:
    """A scorer turns measurements into values, as a spec says.

    Args:
        rule: How a measurement becomes one number.
        gates: What a winner must keep.
        workload: The traffic.
    """

    rule: FitnessRule
    gates: Gates
    workload: Workload

    @property
    def signature(self) -> dict[str, object]:
        """Return what turns measurements into values: where it differs, trials are scored anew."""
        return {
            "weights": dict(self.rule.effective_weights),
            "normalisation": self.rule.normalisation,
            "headroom_mib": self.rule.headroom_mib,
            "gates": asdict(self.gates),
        }

    def fitness(self, measured: Measurement, reference: Reference) -> Fitness:
        """Return the fitness against the reference."""
        weights = self.rule.effective_weights
        if self.rule.normalisation == "fixed":
            return fixed_fitness(measured, weights)
        return fitness(measured, reference, weights, headroom_mib=self.rule.headroom_mib)

    def score(
        self,
        measured: Measurement,
        reference: Reference,
        words_today: Mapping[str, Sequence[WordErrors]],
        *,
        heard_alike: Collection[str],
        clip_seconds: Sequence[float] | None = None,
    ) -> Score:
        """Return fitness against the reference, and every constraint.

        Args:
            measured: What a launch measured.
            reference: What the terms of the fitness are relative to.
            words_today: The word errors that its own are held against, by service.
            heard_alike: The services of which those are of the same configuration, so that they
                cannot differ.
            clip_seconds: The length of each clip whose words are counted, seconds.
        """
        value = self.fitness(measured, reference)
        words = worst_gate(
            measured.words,
            words_today,
            same=heard_alike,
            limit_points=self.gates.wer_points,
            clip_seconds=clip_seconds,
        )
        free_mib = measured.device.free_memory_mib
        p95 = [s.latency_p95_ms for s in measured.services.values()]
        constraints = {
            "latency_is_finite": 1.0 if not p95 or None in p95 or INFINITE in p95 else -1.0,
            "memory": -_share(free_mib, measured.device.device_total_mib),
        }
        if (limit := self.gates.free_memory_mib) > 0 and free_mib is not None:
            constraints["free_memory"] = (limit - free_mib) / limit
        constraints["word_error_rate"] = gate_constraint(words, self.gates.wer_points)
        return Score(value, constraints, words)


def _share(part: float | None, whole: float | None) -> float:
    return 0.0 if not part or not whole else part / whole


def broken(diagnosis: Diagnosis) -> str:
    """Name the constraint that a failed allocation breaks.

    What the tournament may conclude from the failure depends on which it is.

    >>> from objectives.diagnosis.log import FailurePhase
    >>> broken(Diagnosis("predicted_kv_too_small", "llm", FailurePhase.PRECHECK, 900.0, ""))
    'kv_cache'
    """
    return consequence_of(diagnosis.failure_class).breaks or diagnosis.failure_class


def failure_constraint(diagnosis: Diagnosis, total_mib: float | None) -> float:
    """Return how far out of memory: deficit / device total, 1.0 where the deficit is unknown.

    >>> from objectives.diagnosis.log import FailurePhase
    >>> failure_constraint(Diagnosis("oom_budget", "llm", FailurePhase.START, 1200.0, ""), 12000.0)
    0.1
    """
    if diagnosis.deficit_mib is None or diagnosis.deficit_mib <= 0 or not total_mib:
        return 1.0
    return diagnosis.deficit_mib / total_mib


class _Words(NamedTuple):
    """Others are held against these words: how near to the baseline's, of which allocation."""

    rank: int
    allocation: Allocation
    errors: Mapping[str, Sequence[WordErrors]]


@dataclass(slots=True)
class StudyScorer:
    """A study's scorer keeps the reference of its scores, which grows with the study.

    The first finite measurement becomes the reference if the baseline's did not; what a card
    measures that is known to differ by more than noise is relative to its own baseline. Words are
    held against the baseline's; where it does not start, against those of its speech model beside
    another share, and where that does not either, against the reference's.

    Args:
        scorer: What turns measurements into values.
        baseline: The allocation in use today.
        clip_seconds: The length of each clip whose words are counted, seconds; None where they are
            not here.
        is_replay: Whether nothing is launched: then no time is saved by what is left out.
        reference: What every score is relative to; None so far.
    """

    scorer: Scorer
    baseline: Allocation
    clip_seconds: tuple[float, ...] | None
    is_replay: bool = False
    reference: Reference | None = field(default=None, init=False)
    _scales: CardScales = field(init=False)
    _own: dict[str, Reference] = field(default_factory=dict, init=False)  # by card
    _due: int = field(default=0, init=False)  # of so many launches, once they are asked for
    _words: _Words = field(init=False)

    def __post_init__(self) -> None:
        self._scales = CardScales(str(self.baseline))
        self._words = _Words(-1, self.baseline, {})

    def take(self, allocation: Allocation, measured: Measurement) -> bool:
        """Note what was launched: whose words count, the reference, and how its card stands.

        Returns whether this measurement became the reference.
        """
        is_first = self.reference is None
        if is_first:
            self.reference = reference_of(measured)
        is_reference = is_first and self.reference is not None
        rank = 2 if str(allocation) == str(self.baseline) else int(is_reference) - 1
        hearers = {HEARER, *measured.words}
        if hearers == _heard_alike(hearers, allocation, self.baseline):
            rank = max(rank, AS_TODAY)
        if rank > self._words.rank:
            self._words = _Words(rank, allocation, measured.words)
        if self.reference is not None:
            value = self.scorer.fitness(measured, self.reference).value
            self._scales.add(str(allocation), measured, value)
            if self._scales.is_due():
                self._due = self._scales.launches
        return is_reference

    def fitness(self, measured: Measurement, card: str | None = None) -> Fitness:
        """Return the fitness of a measurement.

        Args:
            measured: The measurement.
            card: Where it was made, where it does not say so.
        """
        return self.scorer.fitness(measured, self._reference_on(card or measured.measured_on))

    def _reference_on(self, card: str | None) -> Reference:
        if self._due and self.reference is not None:
            self._own = self._scales.first(self._due).references(self.reference)
            self._due = 0
        return self._own.get(card or "", self.reference or Reference({}, None))

    def score(self, allocation: Allocation, measured: Measurement) -> Score:
        """Return what a measurement is worth."""
        score = self.scorer.score(
            measured,
            self._reference_on(measured.measured_on),
            self._words.errors,
            heard_alike=_heard_alike(measured.words, allocation, self._words.allocation),
            clip_seconds=self.clip_seconds,
        )
        is_known = self._words.rank >= AS_TODAY  # else another verdict may come of today's words
        is_against = score.word_gate.verdict in (WordVerdict.FAIL, WordVerdict.CANNOT_TELL)
        is_barred = is_against and is_known and not self.is_replay
        return replace(score, is_barred=is_barred)


def _heard_alike(services: Iterable[str], one: Allocation, other: Allocation) -> set[str]:
    """Return those of the services that transcribe which two allocations configure alike."""
    return {name for name in services if one.words_key(name) == other.words_key(name)}


def study_scorer(context: StudyContext, trials: Sequence[Trial]) -> StudyScorer:
    """Return the scorer after what has been measured before.

    An earlier run's reference stays the reference.
    """
    rule = Scorer(context.fitness, context.gates, context.workload)
    source, clip_seconds = context.workload.scored_clips, None
    if source in SHIPPED or not context.is_replay:  # clips of one's own may be elsewhere
        clip_seconds = tuple(c.seconds for c in read_clips(source))
    scorer = StudyScorer(rule, context.baseline, clip_seconds, context.is_replay)
    for r in sorted(trials, key=lambda r: not r.is_reference):
        if r.measurement is not None and r.repeat_of is None:
            scorer.take(r.allocation, r.measurement)
    return scorer
