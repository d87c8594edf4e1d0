"""A run takes its trials through the same steps, wherever it measures them; here they begin."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial

from objectives.allocation import Allocation
from objectives.evaluation import Job
from objectives.search_space.space import Space
from study.search.ask import MakeRacer, Racer, mark_begun, queue_baseline
from study.search.expected_time import expected_trial_s
from study.search.known_results import KnownResults
from study.search.opening.resume import resume
from study.search.others import elsewhere, wait_for
from study.search.trial_ends import Progress, TrialEnds, UnderWay
from study.spec.model import Selector
from study.storage.backends.writes import together, written_here_alone
from study.storage.context import StudyContext
from study.storage.owner import Owner
from study.storage.trial import REPLICATE, Begun, Trial
from study.storage.trials import counted


@dataclass(slots=True, kw_only=True)
class TrialSteps:
    """Trial steps are those of one run, which whoever measures takes in its own order.

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
        restarts: Launch all servers anew for every trial, trials in the order asked.
        only: The launches to make, in order, instead of asking the sampler; None to ask it.
        racer: It holds each trial against the best while it is measured; None measures all whole.
        is_alone: Whether nobody else of this machine can be at work on the study.

    Attributes:
        results: What is known of the space.
        ends: It ends the trials.
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
    results: KnownResults = field(init=False, repr=False)
    ends: TrialEnds = field(init=False, repr=False)

    def __post_init__(self) -> None:
        replicates = self.selector.exhausted == "replicate"
        self.results = KnownResults(self.study, self.space, self.available, replicates, self.only)
        self.ends = TrialEnds(
            study=self.study,
            context=self.context,
            folder=self.folder,
            progress=self.progress,
            is_replay=self.is_replay,
            is_alone=self.is_alone,
        )

    def open(self) -> None:
        """Take over what earlier runs left, and let the baseline come first where nothing is."""
        if self.is_alone:
            written_here_alone(self.study)
        self.ends.scorer = resume(
            self.results,
            self.context,
            self.folder,
            self.progress.on_line,
            is_alone=self.is_alone,
        )
        self.ends.metrics.catch_up()
        together(self.study, self._let_baseline_come_first)

    def _let_baseline_come_first(self) -> None:
        is_begun = counted(self.study) or any(self._is_baseline(t) for t, _ in self._elsewhere())
        if self.only is None and not is_begun:
            queue_baseline(self.study, self.space, self.context.baseline)

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
        if self.ends.scorer.reference is None and not self.is_alone:
            wait_for(self.study, self._is_baseline, "the baseline", self.progress.on_line)
        self.ends.take_over_reference()
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

    def _racer(self, trial: optuna.Trial, begun: Begun) -> Racer | None:
        """Return the racer of a trial; what is in use today and what is known are measured whole.

        A replay takes no time that could be saved.
        """
        if self.racer is None or self.is_replay:
            return None
        is_baseline = str(begun.allocation) == str(self.context.baseline)
        is_known = bool(self.results.measured(begun.allocation)) or begun.role == REPLICATE
        may = not (is_baseline or is_known)
        return self.racer(trial, begun.allocation, self.ends.scorer, may_be_given_up=may)

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
        of_study = self.study.study_name.replace("/", "_")  # others number theirs from 0 too
        folder = self.folder / "trials" / of_study / str(trial.number)
        return Job(allocation, seed, folder, is_fresh=self.restarts or bool(before))
