"""Trials end with what came of them, measured or known: it is scored, told and reported."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import optuna

from objectives.allocation import Allocation
from objectives.diagnosis.diagnosis import OVERDUE
from objectives.engines.registry import apis_of
from objectives.evaluation import Failure, Job, Outcome
from objectives.figures import figures_of
from objectives.measurement import Measurement
from study.search.ask import Racer, mark_begun
from study.search.score import StudyScorer, study_scorer
from study.search.tell import (
    constraints_for,
    give_up,
    set_attributes,
    tell_dominated,
    tell_failure,
    tell_score,
)
from study.storage.artifacts import attach
from study.storage.backends.writes import together
from study.storage.context import StudyContext
from study.storage.metrics_jsonl import MetricsFile
from study.storage.trial import REPLICATE, Begun, State, Trial
from study.storage.trials import counted, row


@dataclass(slots=True)
class Progress:
    """Progress is reported by these calls.

    Args:
        on_trial: It gets each finished trial.
        on_line: It gets plain lines.
        on_begin: It gets each trial that begins.
    """

    on_trial: Callable[[Trial], None] = lambda _: None
    on_line: Callable[[str], None] = lambda _: None
    on_begin: Callable[[Begun], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A trial under way is one that has begun and is not told yet.

    Args:
        trial: The trial.
        begun: What it tries.
        job: What is to be measured.
        racer: It says whether the rest is worth its time; None where all is measured.
        started_s: When it began, by `time.monotonic`.
    """

    trial: optuna.Trial
    begun: Begun
    job: Job
    racer: Racer | None
    started_s: float


@dataclass(slots=True, kw_only=True)
class TrialEnds:
    """Trial ends score, tell and report the trials of one run.

    Args:
        study: It is told what was measured.
        context: What it asks, by which it is scored.
        folder: The folder of the study's artifacts.
        progress: Who hears of trials meanwhile.
        is_replay: Whether a recording is replayed.
        is_alone: Whether nobody else of this machine can be at work on the study.
        seconds_measured: What the measurements of this run took where they were made.

    Attributes:
        scorer: What every score is relative to; it is set where a run begins.
    """

    study: optuna.Study
    context: StudyContext
    folder: Path
    progress: Progress
    is_replay: bool
    is_alone: bool
    seconds_measured: float = 0.0
    scorer: StudyScorer = field(init=False, repr=False)
    metrics: MetricsFile = field(init=False, repr=False)

    def __post_init__(self) -> None:
        figures = [*figures_of(apis_of(self.context.services))]
        self.metrics = MetricsFile(self.study, self.folder, figures)

    def take_over_reference(self) -> None:
        """Score by what another process has measured first, where this one knows nothing yet."""
        if self.scorer.reference is None and not self.is_alone:
            self.scorer = study_scorer(self.context, counted(self.study))

    def end(self, under_way: UnderWay, outcome: Outcome) -> Trial:
        """Tell what came of a trial.

        Args:
            under_way: The trial; its job has the folder in which it was measured.
            outcome: What came of the job.

        Raises:
            SetupError: This machine cannot run the study at all.
        """
        trial, folder = under_way.trial, under_way.job.folder
        outcome.raise_for_setup()
        wall_s = self._wall_s(outcome.wall_s, under_way.started_s)
        figures, used_mib_by_s, tell = self._end_of(under_way, outcome)

        def end() -> None:
            set_attributes(trial, wall_s=wall_s)
            attach(trial, self.folder, folder, figures, used_mib_by_s)
            tell()

        together(self.study, end)
        return self._report(trial)

    def _end_of(
        self, under_way: UnderWay, outcome: Outcome
    ) -> tuple[Mapping[str, Any], Sequence[int], Callable[[], None]]:
        """Return the figures of a measurement, its memory by second, and what ends its trial."""
        trial, allocation = under_way.trial, under_way.begun.allocation
        if (measured := outcome.measurement) is not None:
            figures = {**measured.flat(), "ladder": measured.ladder}
            tell = self._settling(trial, allocation, measured, is_launch=True)
            return figures, measured.device.used_mib_by_s, tell
        if (failure := outcome.failure) is not None:
            return failure.measured, (), partial(self._fail, trial, allocation, failure)
        racer = under_way.racer
        if outcome.given_up is None or racer is None or racer.score is None:
            raise AssertionError("a measurement ends with figures, a failure or a score")
        best, constraints = racer.score.fitness.value, constraints_for(self.study, racer.score)
        end = partial(tell_dominated, self.study, trial, outcome.given_up, best, constraints)
        return outcome.given_up, (), end

    def _fail(self, trial: optuna.Trial, allocation: Allocation, failure: Failure) -> None:
        if not self._is_tried_again(failure, allocation):
            tell_failure(self.study, trial, failure)
            return
        set_attributes(trial, overdue=True)
        give_up(self.study, trial, State.INTERRUPTED)
        why = failure.diagnosis.evidence
        self.progress.on_line(f"trial {trial.number}: {why}; it is tried once more")

    def repeat(self, trial: optuna.Trial, begun: Begun, earlier: Trial) -> Trial:
        """Tell a known configuration's result once more, as a repeat; nothing is launched."""
        # a replicate that cannot be had is spent: nobody need ask for it again
        is_spent = begun.role == REPLICATE or None
        tell = None
        if earlier.measurement is not None:
            tell = self._settling(trial, earlier.allocation, earlier.measurement, is_launch=False)
        elif earlier.optimistic_fitness is not None:
            what = earlier.measured, earlier.optimistic_fitness, earlier.constraints
            tell = partial(tell_dominated, self.study, trial, *what)
        elif earlier.diagnosis is not None:
            is_ruled_out = earlier.state is State.PRUNED
            failure = Failure(earlier.diagnosis, is_ruled_out, earlier.measured)
            tell = partial(tell_failure, self.study, trial, failure)

        def repeat() -> None:
            mark_begun(trial, repeat_of=earlier.number, spent=is_spent)
            if tell is not None:
                tell()

        together(self.study, repeat)
        return self._report(trial)

    def _report(self, trial: optuna.Trial) -> Trial:
        record = row(self.study.get_trials(deepcopy=False)[trial.number])
        if record.counts:
            self.metrics.add(record)
            self.progress.on_trial(record)
        return record

    def _is_tried_again(self, failure: Failure, allocation: Allocation) -> bool:
        """Return whether its time was over, and for the first time."""
        values, trials = dict(allocation.values), self.study.get_trials(deepcopy=False)
        earlier = (t.user_attrs for t in trials if t.user_attrs.get("overdue"))
        is_first = all(attributes.get("allocation") != values for attributes in earlier)
        return failure.diagnosis.failure_class == OVERDUE and is_first

    def _settling(
        self,
        trial: optuna.Trial,
        allocation: Allocation,
        measured: Measurement,
        *,
        is_launch: bool,
    ) -> Callable[[], None]:
        """Score a measurement; return what tells that, and whether it is the reference now.

        Args:
            is_launch: Whether it was launched, and is not told once more.
        """
        self.take_over_reference()
        is_reference = (is_launch and self.scorer.take(allocation, measured)) or None
        scored = self.scorer.score(allocation, measured)

        def settle() -> None:
            set_attributes(trial, is_reference=is_reference)
            tell_score(self.study, trial, measured, scored)

        return settle

    def _wall_s(self, recorded: float | None, started: float) -> float:
        wall_s = recorded if self.is_replay and recorded is not None else time.monotonic() - started
        self.seconds_measured += wall_s
        return round(wall_s, 2)
