"""Run one epoch of a study.

It asks for a generation, orders it so that servers restart least, measures it and tells results.
"""

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

from objectives import waiting
from objectives.allocation import Allocation
from objectives.diagnosis.diagnose import OVERDUE
from objectives.engines.engine import apis_of
from objectives.errors import SetupError
from objectives.evaluation import Failure, Job, Measure, Outcome
from objectives.figures import figures_of
from objectives.measurement import Measurement
from objectives.search_space.space import Space
from study.bench.launch_order import order_by_restarts
from study.search.ask import (
    MakeRacer,
    Racer,
    ask_trial,
    mark_begun,
    queue_baseline,
    queue_launches,
    with_origin,
)
from study.search.ending import Ending, RunLimit
from study.search.expected_time import TimeBudget, expected_trial_s
from study.search.known_results import KnownResults
from study.search.resume import resume
from study.search.score import StudyScorer
from study.search.tell import (
    give_up,
    set_attributes,
    tell_dominated,
    tell_failure,
    tell_score,
)
from study.spec.model import Selector
from study.storage.artifacts import attach
from study.storage.context import StudyContext
from study.storage.metrics_jsonl import MetricsFile
from study.storage.patient import together
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


@dataclass(slots=True)
class Epoch:
    """An epoch holds the state of one run.

    Args:
        study: It is asked, and told what was measured.
        context: What it asks, by which it is scored.
        space: What is searched.
        selector: How many trials a generation has, and what follows once all is measured.
        measure: It measures live, or replays.
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
    measure: Measure
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
    _results: KnownResults = field(init=False, repr=False)
    _metrics: MetricsFile = field(init=False, repr=False)
    _scorer: StudyScorer = field(init=False, repr=False)
    _last: Trial | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        replicates = self.selector.exhausted == "replicate"
        self._results = KnownResults(self.study, self.space, self.available, replicates, self.only)
        figures = [*figures_of(apis_of(self.context.services))]
        self._metrics = MetricsFile(self.study, self.folder, figures)

    def run(self) -> Ending:
        """Measure until the budget, the time or the space ends; return which of them it was."""
        budget = TimeBudget(math.inf if self.is_replay else self.timeout_s, self.progress.on_line)
        self._scorer = resume(
            self._results,
            self.context,
            self.folder,
            self.progress.on_line,
            is_alone=self.is_alone,
        )
        self._metrics.catch_up()
        if self.only is None and not counted(self.study):
            queue_baseline(self.study, self.space, self.context.baseline)
        while (ending := self._finished()) is None:
            batch = self._generation()
            for position, (trial, allocation) in enumerate(batch):
                begun = with_origin(self.study, trial, allocation)
                earlier = self._results.answer(begun)
                needed_s = (
                    expected_trial_s(self.context.workload, counted(self.study))
                    if earlier is None
                    else 0.0
                )
                if budget.is_over if earlier else not budget.lets_begin(needed_s):
                    for left, _ in batch[position:]:
                        give_up(self.study, left, State.NOT_STARTED)
                    return Ending(limit=RunLimit.TIME, needed_s=needed_s, timeout_s=self.timeout_s)
                self._one(trial, begun, earlier, [t for t, _ in batch[position + 1 :]])
        return ending

    def _finished(self) -> Ending | None:
        if len(counted(self.study)) >= self.max_trials:
            left = None if self.only is None else self._results.unmeasured()
            return Ending(limit=RunLimit.TRIALS, max_trials=self.max_trials, recorded_left=left)
        return self._results.end_of_space()

    def _generation(self) -> list[tuple[optuna.Trial, Allocation]]:
        """Ask for a whole batch, the same size for every sampler.

        It is ordered by launch key, the baseline first while there is no reference.
        """
        size = min(self.selector.population_size, self.max_trials - len(counted(self.study)))
        if (left := self._results.unmeasured()) is not None:
            size = min(size, left or 1)  # no room for more than is left; replicates one by one
        if self.only is not None:
            queue_launches(self.study, self.space, self.context.baseline, self.only, size)
        pairs = [ask_trial(self.study, self.space) for _ in range(size)]
        by_text: dict[str, list[optuna.Trial]] = {}
        for trial, allocation in pairs:
            by_text.setdefault(str(allocation), []).append(trial)
        allocations = [allocation for _, allocation in pairs]
        if self._scorer.reference is None:
            allocations.sort(key=lambda a: str(a) != str(self.context.baseline))
        if not self.restarts:
            last = self._last.allocation if self._last else None
            allocations = order_by_restarts(self.context.services, allocations, last)
        return [(by_text[str(a)].pop(0), a) for a in allocations]

    def _one(
        self, trial: optuna.Trial, begun: Begun, earlier: Trial | None, left: Sequence[optuna.Trial]
    ) -> None:
        """Bring one trial to its end whatever happens.

        On an interruption the ones behind it are given back.
        """
        try:
            waiting.check()
            if earlier is not None:
                self._repeat(trial, begun, earlier)
            else:
                self.progress.on_begin(begun)
                self._measure(trial, begun, time.monotonic())
            self._last = row(self.study.get_trials(deepcopy=False)[trial.number])
            if self._last.counts:
                self._metrics.add(self._last)
                self.progress.on_trial(self._last)
        except BaseException as error:
            is_setup = isinstance(error, SetupError)
            # interrupted while it wrote: the next run frees what is left
            with suppress(StorageInternalError):
                give_up(self.study, trial, State.NOT_STARTED if is_setup else State.INTERRUPTED)
                for other in left:
                    give_up(self.study, other, State.NOT_STARTED)
            raise

    def _repeat(self, trial: optuna.Trial, begun: Begun, earlier: Trial) -> None:
        """Tell a known configuration's result once more, as a repeat; nothing is launched."""
        # a replicate that cannot be had is spent: nobody need ask for it again
        is_spent = begun.role == REPLICATE or None
        tell = None
        if earlier.measurement is not None:
            tell = self._settling(trial, earlier.allocation, earlier.measurement)
        elif earlier.optimistic_fitness is not None:
            best = earlier.optimistic_fitness
            what = earlier.measured, best, earlier.constraints
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

    def _measure(self, trial: optuna.Trial, begun: Begun, started: float) -> None:
        allocation = begun.allocation
        job = self._job(trial, allocation)
        if (racer := self._racer(trial, begun)) is not None:
            job = replace(job, is_worth=racer)
        if not self.is_replay:
            job.folder.mkdir(parents=True, exist_ok=True)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        is_spent = self._results.is_last(allocation) or None
        together(self.study, lambda: mark_begun(trial, seed=job.seed, at=at, spent=is_spent))
        outcome = self.measure(job).raise_for_setup()
        wall_s = self._wall_s(outcome.wall_s, started)
        figures, used_mib_by_s, tell = self._ending(trial, job, outcome, racer)

        def end() -> None:
            set_attributes(trial, wall_s=wall_s)
            attach(trial, self.folder, job.folder, figures, used_mib_by_s)
            tell()

        together(self.study, end)

    def _ending(
        self, trial: optuna.Trial, job: Job, outcome: Outcome, racer: Racer | None
    ) -> tuple[Mapping[str, Any], Sequence[int], Callable[[], None]]:
        """Return the figures of a measurement, its memory by second, and what ends its trial."""
        if (measured := outcome.measurement) is not None:
            figures = {**measured.flat(), "ladder": measured.ladder}
            tell = self._settling(trial, job.allocation, measured)
            return figures, measured.device.used_mib_by_s, tell
        if (failure := outcome.failure) is not None:
            return failure.measured, (), partial(self._fail, trial, job.allocation, failure)
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
        is_known = bool(self._results.measured(begun.allocation)) or begun.role == REPLICATE
        may = not (is_baseline or is_known)
        return self.racer(trial, begun.allocation, self._scorer, may_be_given_up=may)

    def _job(self, trial: optuna.Trial, allocation: Allocation) -> Job:
        """Return the evaluation of a trial.

        Its seed draws a repeat that a replay has not drawn yet.
        """
        before = self._results.measured(allocation)
        seed = self.seed * 10_007 + trial.number
        if before and before[0].seed is not None:
            seed = before[0].seed + len(before)
        if self.only is not None:
            seed = len(before)  # its launches in the order of the recording, also if that has grown
        folder = self.folder / "trials" / str(trial.number)
        return Job(allocation, seed, folder, is_fresh=self.restarts or bool(before))

    def _settling(
        self, trial: optuna.Trial, allocation: Allocation, measured: Measurement
    ) -> Callable[[], None]:
        """Score a measurement; return what tells that, and whether it is the reference now."""
        is_reference = self._scorer.take(allocation, measured) or None
        scored = self._scorer.score(allocation, measured)

        def settle() -> None:
            set_attributes(trial, is_reference=is_reference)
            tell_score(self.study, trial, measured, scored)

        return settle

    def _wall_s(self, recorded: float | None, started: float) -> float:
        wall_s = recorded if self.is_replay and recorded is not None else time.monotonic() - started
        self.seconds_measured += wall_s
        return round(wall_s, 2)
