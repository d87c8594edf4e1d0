"""A generation of a generic experiment asks for candidates, evaluates them and tells the study."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from study.dream.experiments.model import GenericExperiment
from study.dream.experiments.values import as_text
from study.dream.generic.evaluation import Evaluated, evaluate, result_of
from study.dream.generic.open_study import free_left_behind
from study.dream.generic.telling import interrupt, tell
from study.dream.generic.watching import TIMEOUT, WINDOW
from study.dream.records import is_counted
from study.dream.windows import Windows
from study.storage.trial import REPLICATE

ASKS = 20  # for each place of a generation, of a sampler that proposes what is known


@dataclass(slots=True)
class Generation:
    """A generation is one epoch of a generic experiment.

    Args:
        experiment: What is evaluated.
        study: It is asked, and told.
        folder: The folder of what evaluators print.
        say: Gets a line about each evaluation.
        on_trial: Called when a trial has been told.
        windows: Those of studies that measure, beside which it stands still; None where it measures
            a device itself.
        cycle_generation: The generation of this cycle, from 0, which the evaluator is told.
        left_s: What the budgets of experiment and cycle leave to it, seconds; None: no limit.
        evaluated: How many candidates were evaluated.
        held_s: How long it stood still, seconds.
    """

    experiment: GenericExperiment
    study: optuna.Study
    folder: Path
    say: Callable[[str], None]
    on_trial: Callable[[], None]
    windows: Windows | None = None
    cycle_generation: int = 0
    left_s: float | None = None
    evaluated: int = field(default=0, init=False)
    held_s: float = field(default=0.0, init=False)
    _began: float = field(default=0.0, init=False)
    _longest_s: float = field(default=0.0, init=False)

    def run(self) -> bool:
        """Evaluate until the generation is full or its time is over.

        Returns:
            Whether nothing is left: every candidate is known.

        Raises:
            WrongFigures: The first result lacks a figure that `target_direction` names.
            KeyboardInterrupt: The evaluator is killed; its candidate comes first next time.
        """
        self._began = time.monotonic()
        for left in free_left_behind(self.study, self.folder):
            trial = self.study.get_trials(deepcopy=False)[left]
            if (earlier := result_of(self.folder / str(left))) is not None:
                self._record(left, trial.user_attrs["candidate"], earlier)
        self._queue()
        asks = 0
        while self.evaluated < self.experiment.selector.population_size:
            if self.is_exhausted():
                return True
            if self.evaluated and self._left_s() < self._longest_s:
                self.say(f"the time is over after {self.evaluated} evaluation(s)")
                break
            asks += 1
            if asks > ASKS * self.experiment.selector.population_size:
                break
            self._one()
        return self.is_exhausted()

    def is_exhausted(self) -> bool:
        """Say whether every candidate is known, and none is to be evaluated again."""
        size = self.experiment.values.size
        if size is None or len(self._settled()) < size:
            return False
        selector = self.experiment.selector
        if selector.exhausted == "stop" or self.experiment.sampler != "tournament":
            return True
        most = max(size, selector.population_size * self.experiment.budget.max_generations)
        return sum(is_counted(t) for t in self._ended()) >= most

    def _queue(self) -> None:
        """Queue the baseline, what was interrupted, and what may be tried once more."""
        values, known = self.experiment.values, self._settled()
        waiting = self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        queued = [t.system_attrs.get("fixed_params", {}) for t in waiting]
        again = [t.user_attrs.get("candidate") for t in self._ended() if t.state is TrialState.FAIL]
        first = [self.experiment.baseline, *again]
        for candidate in (c for c in first if c is not None):
            try:
                params = values.encode(candidate)
            except (KeyError, ValueError, TypeError):
                continue  # no longer in the space
            if as_text(candidate) not in known and params not in queued:
                queued.append(params)
                self.study.enqueue_trial(params)

    def _one(self) -> None:
        trial = self.study.ask(self.experiment.values.distributions)
        candidate = self.experiment.values.decode(trial.params)
        is_replicate = trial.user_attrs.get("role") == REPLICATE
        if as_text(candidate) in self._settled() and not is_replicate:
            self._repeat(trial, candidate)
            return
        trial.set_user_attr("candidate", candidate)
        generation = trial.user_attrs.get("generation", self.cycle_generation)
        context = {
            "experiment": self.experiment.name,
            "generation": generation,
            **self.experiment.context,
            "timestamp": int(time.time()),
        }
        try:
            outcome = self._evaluated(candidate, context, self.folder / str(trial.number))
        except KeyboardInterrupt:
            interrupt(self.study, trial.number)
            raise
        if outcome.failure == TIMEOUT and self.evaluated:
            interrupt(self.study, trial.number)  # not the candidate's doing: it began late
            self._longest_s = float("inf")
            return
        self._longest_s = max(self._longest_s, outcome.seconds)
        self._record(trial.number, candidate, outcome)

    def _evaluated(
        self, candidate: Mapping[str, Any], context: Mapping[str, Any], folder: Path
    ) -> Evaluated:
        """Return an evaluation beside which nobody measured, or one that stood still meanwhile.

        Its own time goes on only where it does.
        """
        while True:
            self.held_s += self.windows.enter() if self.windows else 0.0
            limit_s = self.experiment.budget.wallclock_sec
            if self.evaluated:
                limit_s = max(0.1, self._left_s())
            try:
                outcome = evaluate(
                    self.experiment, candidate, context, folder, limit_s, self.windows
                )
            finally:
                if self.windows:
                    self.windows.leave()
            self.held_s += outcome.paused_s
            if outcome.failure != WINDOW:
                return outcome
            self.held_s += outcome.seconds

    def _record(self, number: int, candidate: Mapping[str, Any], outcome: Evaluated) -> None:
        tell(self.study, self.experiment.goals, number, candidate, outcome, self.say)
        self.evaluated += 1
        self.on_trial()

    def _repeat(self, trial: optuna.Trial, candidate: Mapping[str, Any]) -> None:
        """Tell what is known of a candidate; nothing is evaluated."""
        earlier = next(
            t for t in self._ended() if is_counted(t) and t.user_attrs["candidate"] == candidate
        )
        complete = [
            t
            for t in self._ended()
            if is_counted(t)
            and t.user_attrs["candidate"] == candidate
            and t.state is TrialState.COMPLETE
        ]
        trial.set_user_attr("candidate", dict(candidate))
        trial.set_user_attr("repeat_of", (complete or [earlier])[0].number)
        if complete:
            self.study.tell(trial, complete[0].value)
        else:
            self.study.tell(trial, state=TrialState.FAIL)

    def _ended(self) -> list[FrozenTrial]:
        states = (TrialState.COMPLETE, TrialState.FAIL)
        return self.study.get_trials(deepcopy=False, states=states)

    def _settled(self) -> set[str]:
        """Return the candidates that need no evaluation: known, or failed often enough."""
        trials = [t for t in self._ended() if is_counted(t)]
        failures = Counter(
            as_text(t.user_attrs["candidate"]) for t in trials if t.state is TrialState.FAIL
        )
        spent = {c for c, n in failures.items() if n > self.experiment.budget.retries}
        done = {
            as_text(t.user_attrs["candidate"]) for t in trials if t.state is TrialState.COMPLETE
        }
        return done | spent

    def _left_s(self) -> float:
        limit_s = self.experiment.budget.wallclock_sec
        if self.left_s is not None:
            limit_s = min(limit_s, self.left_s)
        return self._began + limit_s + self.held_s - time.monotonic()
