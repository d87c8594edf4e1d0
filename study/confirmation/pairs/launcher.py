"""`Launcher` launches one allocation afresh and measures it under every workload in turn."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from objectives.allocation import Allocation
from objectives.capacity.ramp_range import RampRange
from objectives.colocation.colocation import Colocation
from objectives.evaluation import Failure, Job, OnPhase, Outcome, Phase
from objectives.exercise.exercise import Exercise
from objectives.measurement import Measurement
from objectives.speech.wer import WordErrors
from study.confirmation.records import FailedLaunch, PairLaunch, PairsJournal
from study.confirmation.subject import Subject
from study.rule.pairs import Role
from study.spec.traffic import WindowTraffic
from study.wording.phases import phase_in_words

Launched = PairLaunch | FailedLaunch | Failure
Asks = TypeVar("Asks")
Answers = TypeVar("Answers")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class JobOrder:
    """An order asks for a job under one traffic.

    Args:
        traffic: The traffic.
        job: The job.
    """

    traffic: WindowTraffic
    job: Job


def driven(steps: Generator[Asks, Answers, Result], answer: Callable[[Asks], Answers]) -> Result:
    """Answer every question, and return what comes of it."""
    try:
        question = next(steps)
        while True:
            question = steps.send(answer(question))
    except StopIteration as end:
        result: Result = end.value
        return result


@dataclass(slots=True)
class Launcher:
    """A launcher makes the launches of a confirmation.

    Args:
        of: What is confirmed.
        tell: Called with each line for the user.
        ramp_ranges: The range of ramps by workload; the first launch under one adds its own.
        keep_ranges: Called with all of them once one was added.
        word_errors: Word errors by speech configuration; the clips are the same, so they are
            scored once.
        under: The workload that is measured now.
        watch: Called as each phase begins.
    """

    of: Subject
    tell: Callable[[str], None]
    ramp_ranges: dict[str, RampRange]
    keep_ranges: Callable[[Mapping[str, RampRange]], None]
    word_errors: dict[str, tuple[WordErrors, ...]]
    under: str = ""  # the traffic of the moment, before a phase
    watch: OnPhase = lambda _: None

    def on_phase(self, phase: Phase) -> None:
        """Tell the phase, with its workload before it."""
        self.tell(f"    {self.under}{phase_in_words(phase)}")
        self.watch(phase)

    def launch(
        self,
        role: Role,
        allocation: Allocation,
        colocation: Colocation,
        folder: Path,
        traffics: Sequence[WindowTraffic],
    ) -> Launched:
        """Launch afresh and measure under each of the pair's traffics, the study's own first.

        A launch that does not work is a `FailedLaunch`; a `Failure` says nothing of it.
        """
        steps = self.launching(role, allocation, folder, traffics)
        return driven(steps, partial(self._measured, colocation))

    def launching(
        self,
        role: Role,
        allocation: Allocation,
        folder: Path,
        traffics: Sequence[WindowTraffic],
    ) -> Generator[JobOrder, Outcome, Launched]:
        """Ask for what `launch` measures, job by job; it is the same wherever they are measured."""
        measured: dict[str, Measurement] = {}
        for n, traffic in enumerate(traffics):
            within = folder / traffic.name
            outcome = yield JobOrder(traffic, Job(allocation, 0, within, is_fresh=n == 0))
            outcome.raise_for_setup()
            if (failure := outcome.failure) is not None:
                if not failure.is_ruled_out:
                    return failure
                self.tell(f"  {role}: {failure}")
                return FailedLaunch(role, traffic.name, failure.diagnosis)
            if outcome.measurement is not None:
                measured[traffic.name] = outcome.measurement.without_samples()
        return PairLaunch(role, measured)

    def _measured(self, colocation: Colocation, order: JobOrder) -> Outcome:
        traffic, job = order.traffic, order.job
        job.folder.mkdir(parents=True, exist_ok=True)
        exercise = Exercise(traffic.workload, self.of.clips, traffic.requests, self.of.words)
        exercise.word_errors = self.word_errors
        colocation.under(exercise, self.ramp_ranges.get(traffic.name))
        self.under = f"{traffic.name}: "
        outcome = colocation.measure(job)
        self.range_found(traffic.name, colocation.ramp_range, outcome)
        return outcome

    def range_found(self, workload: str, ramp_range: RampRange | None, by: Outcome) -> None:
        """Know the range of a workload's ramps from now on, where it is the first.

        One that a disturbed launch has found is found anew.
        """
        if ramp_range is None or by.measurement is None or by.measurement.lag_exceeded:
            return
        if workload not in self.ramp_ranges:
            self.ramp_ranges[workload] = ramp_range
            self.keep_ranges(dict(self.ramp_ranges))


def scored_words(journal: PairsJournal, of: Subject) -> dict[str, tuple[WordErrors, ...]]:
    """Return the word errors of each speech configuration that an earlier run has scored."""
    words = {}
    for pair in journal.pairs:
        for launch in pair.launches:
            is_winner = (pair.stage, launch.role) == ("ab", "winner")
            allocation = of.winner if is_winner else of.baseline
            for service, scored in launch.measured["main"].words.items():
                words[allocation.words_key(service)] = scored
    return words
