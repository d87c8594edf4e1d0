"""Steps of a trial: what a run does with it before and after it is measured, wherever that is."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial

from objectives.allocation import Allocation
from objectives.diagnosis.diagnosis import OVERDUE
from objectives.engines.engine import apis_of
from objectives.errors import SetupError
from objectives.evaluation import Failure, Job, Outcome
from objectives.figures import figures_of
from objectives.measurement import Measurement
from objectives.search_space.space import Space
from study.search.ask import MakeRacer, Racer, mark_begun, queue_baseline
from study.search.expected_time import expected_trial_s
from study.search.known_results import KnownResults
from study.search.opening.resume import resume
from study.search.others import elsewhere, wait_for
from study.search.score import StudyScorer, study_scorer
from study.search.tell import (
    give_up,
    set_attributes,
    tell_dominated,
    tell_failure,
    tell_score,
)
from study.spec.model import Selector
from study.storage.artifacts import attach
from study.storage.backends.patient import together, written_here_alone
from study.storage.context import StudyContext
from study.storage.metrics_jsonl import MetricsFile
from study.storage.owner import Owner
from study.storage.trials import REPLICATE, Begun, State, Trial, counted, row


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
class TrialSteps:
    """The steps of the trials of one run, which whoever measures takes in its own order.

    Args:
        study: It is asked, and told what was measured.
        context: What it asks, by which it is scored.
        space: What is searched.
        selector: How many trials a generation has, and what follows once all is measured.
        folder: The folder of the study's artifacts.
        max_trials: The most over all runs.
        timeout_s: Of this run, seconds: nothing begins that is not expected to end within it.
        seed: It draws what the sampler and the measurements draw.
        progress: Who hears of trials meanwhile.
        is_replay: Whether a recording is replayed.
        available: How often a configuration can be measured; a replay has what was recorded.
        restarts: Launch both servers anew for every trial, trials in the order asked.
        only: The launches to make, in order, instead of asking the sampler; None to ask it.
        racer: It holds each trial against the best while it is measured; None measures all whole.
        is_alone: Whether nobody else of this machine can be at work on the study.
        seconds_measured: What the measurements of this run took where they were made.
    """

    study: optuna.Study
    context: StudyContext
    space: Space
    selector: Selector
    folder: Path
    max_trials: int
    timeout_s: float
    seed: int
    progress: Progress
    is_replay: bool
    available: Callable[[Allocation], float] = lambda _: math.inf
    restarts: bool = False
    only: Sequence[Allocation] | None = None
    racer: MakeRacer | None = None
    is_alone: bool = False
    seconds_measured: float = 0.0
    results: KnownResults = field(init=False, repr=False)
    scorer: StudyScorer = field(init=False, repr=False)
    _metrics: MetricsFile = field(init=False, repr=False)

    def __post_init__(self) -> None:
        replicates = self.selector.exhausted == "replicate"
        self.results = KnownResults(self.study, self.space, self.available, replicates, self.only)
        figures = [*figures_of(apis_of(self.context.services))]
        self._metrics = MetricsFile(self.study, self.folder, figures)

    def open(self) -> None:
        """Take over what earlier runs left, and let the baseline come first where nothing is."""
        if self.is_alone:
            written_here_alone(self.study)
        self.scorer = resume(
            self.results,
            self.context,
            self.folder,
            self.progress.on_line,
            is_alone=self.is_alone,
        )
        self._metrics.catch_up()
        together(self.study, self._let_baseline_come_first)

    def _let_baseline_come_first(self) -> None:
        is_begun = counted(self.study) or any(self._is_baseline(t) for t, _ in self._elsewhere())
        if self.only is None and not is_begun:
            queue_baseline(self.study, self.space, self.context.baseline)

    def _take_over_reference(self) -> None:
        """Score by what another process has measured first, where this one knows nothing yet."""
        if self.scorer.reference is None and not self.is_alone:
            self.scorer = study_scorer(self.context, counted(self.study))

    def _is_baseline(self, trial: FrozenTrial) -> bool:
        return bool(trial.user_attrs.get("allocation") == dict(self.context.baseline.values))

    def _elsewhere(self) -> list[tuple[FrozenTrial, Owner]]:
        return [] if self.is_alone else elsewhere(self.study)

    def needed_s(self, earlier: Trial | None) -> float:
        """Return the seconds that a trial is expected to take; a known result takes none."""
        if earlier is not None:
            return 0.0
        return expected_trial_s(self.context.workload, counted(self.study))

    def begin(self, trial: optuna.Trial, begun: Begun, in_flight: int = 0) -> UnderWay:
        """Prepare the measurement of a trial.

        Args:
            trial: The trial.
            begun: What it tries.
            in_flight: How many trials of the same configuration are being measured now.
        """
        if self.scorer.reference is None and not self.is_alone:
            wait_for(self.study, self._is_baseline, "the baseline", self.progress.on_line)
        self._take_over_reference()
        self.progress.on_begin(begun)
        started_s = time.monotonic()
        job, racer = self._job(trial, begun.allocation, in_flight), self._racer(trial, begun)
        if racer is not None:
            job = replace(job, is_worth=racer)
        if not self.is_replay:
            job.folder.mkdir(parents=True, exist_ok=True)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        is_spent = self.results.is_last(begun.allocation) or None
        together(self.study, lambda: mark_begun(trial, seed=job.seed, at=at, spent=is_spent))
        return UnderWay(trial, begun, job, racer, started_s)

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
        figures, used_mib_by_s, tell = self._told(under_way, outcome)

        def end() -> None:
            set_attributes(trial, wall_s=wall_s)
            attach(trial, self.folder, folder, figures, used_mib_by_s)
            tell()

        together(self.study, end)
        return self._ended(trial)

    def _told(
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
        best, constraints = racer.score.fitness.value, racer.score.constraints
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
        return self._ended(trial)

    def abandon(
        self, error: BaseException, begun: Sequence[optuna.Trial], asked: Sequence[optuna.Trial]
    ) -> None:
        """Give trials back where a run ends in the middle.

        Args:
            error: Why it ends.
            begun: Those that were being measured.
            asked: Those that were not begun.
        """
        is_setup = isinstance(error, SetupError)
        # interrupted while it wrote: the next run frees what is left
        with suppress(StorageInternalError):
            for trial in begun:
                give_up(self.study, trial, State.NOT_STARTED if is_setup else State.INTERRUPTED)
            for trial in asked:
                give_up(self.study, trial, State.NOT_STARTED)

    def _ended(self, trial: optuna.Trial) -> Trial:
        ended = row(self.study.get_trials(deepcopy=False)[trial.number])
        if ended.counts:
            self._metrics.add(ended)
            self.progress.on_trial(ended)
        return ended

    def _is_tried_again(self, failure: Failure, allocation: Allocation) -> bool:
        """Return whether its time was over, and for the first time."""
        values, trials = dict(allocation.values), self.study.get_trials(deepcopy=False)
        earlier = (t.user_attrs for t in trials if t.user_attrs.get("overdue"))
        is_first = all(attributes.get("allocation") != values for attributes in earlier)
        return failure.diagnosis.failure_class == OVERDUE and is_first

    def _racer(self, trial: optuna.Trial, begun: Begun) -> Racer | None:
        """Return the racer of a trial; what is in use today and what is known are measured whole.

        A replay takes no time that could be saved.
        """
        if self.racer is None or self.is_replay:
            return None
        is_baseline = str(begun.allocation) == str(self.context.baseline)
        is_known = bool(self.results.measured(begun.allocation)) or begun.role == REPLICATE
        may = not (is_baseline or is_known)
        return self.racer(trial, begun.allocation, self.scorer, may_be_given_up=may)

    def _job(self, trial: optuna.Trial, allocation: Allocation, in_flight: int) -> Job:
        """Return the evaluation of a trial.

        Its seed draws a repeat that a replay has not drawn yet.
        """
        before = self.results.measured(allocation)
        seed = self.seed * 10_007 + trial.number
        if before and before[0].seed is not None:
            seed = before[0].seed + len(before) + in_flight
        if self.only is not None:
            seed = len(before)  # its launches in the order of the recording, also if that has grown
        folder = self.folder / "trials" / str(trial.number)
        return Job(allocation, seed, folder, is_fresh=self.restarts or bool(before))

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
        self._take_over_reference()
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
