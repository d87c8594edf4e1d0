"""One run of a study: ask a generation, order it so that servers restart least, measure, tell. One run, one epoch."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError

from objectives.allocation import Allocation
from objectives.budget import speech_key
from objectives.clips import read_clips
from objectives.errors import Disturbed, OutOfMemory, SetupError
from objectives.fitness import Reference, reference_of
from objectives.measurement import Measurement
from objectives.run import Measure, Run
from study.attachments import attach
from study.history import (
    BASELINE,
    INTERRUPTED,
    NOT_STARTED,
    REPLICATE,
    Begun,
    Row,
    carry,
    give_up,
    note,
    row,
    rows,
    tell_failure,
    tell_score,
)
from study.live import order_by_llm
from study.scoring import Score, score
from study.search import BRIDGE, ask, begin, carried_over, free_left_behind, queue
from study.spec import Spec
from study.tournament import TournamentSampler, can_replicate, left

START_GUESS_S = 75.0  # of a trial without any history: the servers' starts


@dataclass(slots=True)
class Progress:
    """Who is told what: a finished trial, a phase, a plain line, a trial that begins."""

    on_trial: Callable[[Row], None] = lambda _: None
    on_phase: Callable[[str], None] = lambda _: None
    on_line: Callable[[str], None] = lambda _: None
    on_begin: Callable[[Begun], None] = lambda _: None


@dataclass(slots=True)
class Epoch:
    """The state of one run.

    available: how often a configuration can be measured, in a replay as often as it was recorded
    measure: live or replayed; folder: artifacts/<name>; max_trials: over all runs; timeout_s: of this run
    restarts: launch both servers anew for every trial, trials in the order asked
    seconds_measured: what the measurements of this run took where they were made
    """

    study: optuna.Study
    spec: Spec
    measure: Measure
    folder: Path
    max_trials: int
    timeout_s: float
    seed: int
    progress: Progress
    is_replay: bool
    available: Callable[[Allocation], float] = lambda _: math.inf
    restarts: bool = False
    number: int = 0
    seconds_measured: float = 0.0
    _reference: Reference | None = None
    _baseline: Measurement | None = None
    _done: list[Row] = field(default_factory=list)
    _owed: list[Row] = field(default_factory=list)
    _launched: bool = False
    _seconds: tuple[float, ...] = ()

    def run(self) -> str:
        """Measure until the budget, the time or the space ends; a sentence says which."""
        started = time.monotonic()
        self._seconds = tuple(c.seconds for c in read_clips(self.spec.workload.clips))
        self._carry_over()
        freed = free_left_behind(self.study, self.spec)
        if freed:
            self.progress.on_line(f"{freed} trial(s) left by a dead process were freed and come first")
        self._resume(self._known())
        self._owed = self._unwritten()
        if self._owed:
            self._write_metrics()
        if not self._known():
            self._enqueue_baseline()
        while True:
            reason = self._finished()
            if reason is not None:
                return reason
            batch = self._generation()
            for position, (trial, allocation) in enumerate(batch):
                expected_s = self._expected_s(trial, allocation)
                over = time.monotonic() - started + expected_s > self.timeout_s
                if over and self._launched and not self.is_replay:
                    for left, _ in batch[position:]:
                        give_up(self.study, left, NOT_STARTED)
                    return (
                        f"the next trial takes about {expected_s / 60:.1f} min and would not end within "
                        f"the {self.timeout_s:g} s of this run; run again to go on"
                    )
                self._one(trial, allocation, [t for t, _ in batch[position + 1 :]])

    def _generation(self) -> list[tuple[optuna.Trial, Allocation]]:
        """Ask a whole batch, the same size for every sampler, ordered by LLM command, the baseline first."""
        size = min(self.spec.selector.population_size, self.max_trials - self._used())
        if (left := self._left()) is not None:
            size = min(size, left or 1)  # no room for more than is left; replicates one by one
        asked = [ask(self.study, self.spec)[0] for _ in range(size)]
        by_text: dict[str, list[optuna.Trial]] = {}
        for trial in asked:
            by_text.setdefault(str(Allocation(trial.user_attrs["allocation"])), []).append(trial)
        allocations = [Allocation(t.user_attrs["allocation"]) for t in asked]
        if self._reference is None:
            allocations.sort(key=lambda a: str(a) != str(self.spec.baseline))
        if self.restarts:
            return [(by_text[str(a)].pop(0), a) for a in allocations]
        running = self._done[-1].allocation if self._done else None
        return [(by_text[str(a)].pop(0), a) for a in order_by_llm(allocations, running)]

    def _one(self, trial: optuna.Trial, allocation: Allocation, left: Sequence[optuna.Trial]) -> None:
        """One trial, to its end whatever happens; on an interruption the ones behind it are given back."""
        try:
            begin(trial)
            known = next((r for r in rows(self.study) if self._answers(r, allocation)), None)
            if known is not None and not self._is_fresh(trial, allocation):
                self._repeat(trial, known)
            else:
                self._launched = True
                self.progress.on_begin(self._begun(trial, allocation))
                self._measure(trial, allocation, time.monotonic())
            self._done.append(row(self.study.get_trials(deepcopy=False)[trial.number]))
            self._write_metrics()
            self.progress.on_trial(self._done[-1])
        except BaseException as error:
            with suppress(StorageInternalError):  # interrupted while it wrote: the next run frees what is left
                give_up(self.study, trial, NOT_STARTED if isinstance(error, SetupError) else INTERRUPTED)
                for asked in left:
                    give_up(self.study, asked, NOT_STARTED)
            raise

    def _measure(self, trial: optuna.Trial, allocation: Allocation, started: float) -> None:
        before = self._measured(allocation)
        seed = self.seed * 10_007 + trial.number
        if before and before[0].seed is not None:
            seed = before[0].seed + len(before)  # so that a replay draws a repeat that it has not drawn
        is_fresh = self.restarts or bool(before)
        run = Run(seed, self.folder / "trials" / str(trial.number), self.progress.on_phase, is_fresh)
        if not self.is_replay:
            run.folder.mkdir(parents=True, exist_ok=True)
        note(trial, seed=seed, at=datetime.now(UTC).isoformat(timespec="seconds"))
        note(trial, spent=len(before) + 1 >= self.available(allocation) or None)
        try:
            measured = self.measure(allocation, run)
        except (OutOfMemory, Disturbed) as failure:
            recorded = failure.measured.get("wall_s")
            note(trial, wall_s=self._wall_s(recorded if isinstance(recorded, float) else None, started))
            is_oom = isinstance(failure, OutOfMemory)
            attach(trial, self.folder, run.folder, failure.measured)
            tell_failure(self.study, trial, failure.diagnosis, failure.measured, is_oom=is_oom)
            return
        note(trial, wall_s=self._wall_s(measured.wall_s, started))
        attach(trial, self.folder, run.folder, measured.to_json())
        self._settle(trial, allocation, measured)

    def _settle(self, trial: optuna.Trial, allocation: Allocation, measured: Measurement) -> None:
        """Score a measurement against the reference; the first finite one becomes it if the baseline did not."""
        if self._baseline is None and str(allocation) == str(self.spec.baseline):
            self._baseline = measured
        if self._reference is None:
            self._reference = reference_of(measured)
            note(trial, is_reference=self._reference is not None or None)
        tell_score(self.study, trial, measured, self._score(allocation, measured))

    def _score(self, allocation: Allocation, measured: Measurement) -> Score:
        return score(
            self.spec,
            measured,
            self._reference or Reference(1.0, 1.0, None),
            self._baseline,
            same_speech=speech_key(allocation) == speech_key(self.spec.baseline),
            clip_seconds=self._seconds,
        )

    def _repeat(self, trial: optuna.Trial, known: Row) -> None:
        """A configuration that is known is not launched again: its result is told, and it counts as a repeat."""
        note(trial, repeat_of=known.number)
        if self._role(trial) == REPLICATE:
            note(trial, spent=True)  # it was wanted and cannot be had: nobody need ask for it again
        if known.measurement is not None:
            self._settle(trial, known.allocation, known.measurement)
        elif known.diagnosis is not None:
            is_oom = known.status == "pruned"
            tell_failure(self.study, trial, known.diagnosis, known.measured, is_oom=is_oom)

    def _answers(self, r: Row, allocation: Allocation) -> bool:
        if str(r.allocation) != str(allocation) or r.repeat_of is not None:
            return False
        return r.is_known or (r.status == "failed" and str(allocation) in self._settled())

    def _measured(self, allocation: Allocation) -> list[Row]:
        """What this configuration was measured as, copies left out."""
        return [r for r in self._known() if str(r.allocation) == str(allocation) and r.repeat_of is None]

    def _is_fresh(self, trial: optuna.Trial, allocation: Allocation) -> bool:
        """Whether a known configuration is measured again: a baseline on another card, or a replicate."""
        role = self._role(trial)
        return role == BRIDGE or (role == REPLICATE and len(self._measured(allocation)) < self.available(allocation))

    def _role(self, trial: optuna.Trial) -> object:
        return self._written(trial).get("role")

    def _begun(self, trial: optuna.Trial, allocation: Allocation) -> Begun:
        written = self._written(trial)
        return Begun(trial.number, allocation, written.get("generation"), str(written.get("role", "")))

    def _written(self, trial: optuna.Trial) -> dict[str, Any]:
        """What the sampler or whoever queued it wrote of this trial; the trial itself was read before that."""
        return self.study.get_trials(deepcopy=False)[trial.number].user_attrs

    def _known(self) -> list[Row]:
        return [r for r in rows(self.study) if r.counts]

    def _used(self) -> int:
        return len(self._known())

    def _settled(self) -> set[str]:
        """Configurations that need no further launch."""
        known = self._known()
        failures = Counter(str(r.allocation) for r in known if r.status == "failed")
        return {str(r.allocation) for r in known if r.is_known or failures[str(r.allocation)] >= 2}

    def _finished(self) -> str | None:
        if self._used() >= self.max_trials:
            return f"the budget of {self.max_trials} trials is used"
        if self._left() != 0 or self._replicates():
            return None
        size, measured = self.spec.search_space.size or 0, len(self._settled())
        if measured < size:
            return f"{measured} of the {size} configurations are measured, those that failed rule out the others"
        return f"every one of the {size} configurations is measured"

    def _left(self) -> int | None:
        """Configurations that nobody has measured and nothing rules out; None in a space without an end."""
        if self.spec.search_space.size is None:
            return None
        if isinstance(self.study.sampler, TournamentSampler) and (known := left(self.study)) is not None:
            return known
        return self.spec.search_space.size - len(self._settled())

    def _replicates(self) -> bool:
        """Whether the sampler would spend what remains of the budget on measuring the leaders again."""
        is_wanted = self.spec.selector.exhausted == "replicate"
        return is_wanted and isinstance(self.study.sampler, TournamentSampler) and can_replicate(self.study)

    def _expected_s(self, trial: optuna.Trial, allocation: Allocation) -> float:
        """What a trial will take, by the trials so far; a guess from the workload before the first."""
        is_known = any(self._answers(r, allocation) for r in self._known())
        if is_known and not self._is_fresh(trial, allocation):
            return 0.0
        walls = [r.wall_s for r in self._known() if r.status == "complete" and r.repeat_of is None]
        return median(walls) if walls else guess_s(self.spec)

    def _wall_s(self, recorded: float | None, started: float) -> float:
        wall_s = recorded if self.is_replay and recorded is not None else time.monotonic() - started
        self.seconds_measured += wall_s
        return round(wall_s, 2)

    def _enqueue_baseline(self) -> None:
        params = self.spec.search_space.encode(self.spec.baseline)
        if params not in queue(self.study):
            self.study.enqueue_trial(params, user_attrs={"role": BASELINE})

    def _resume(self, found: Sequence[Row]) -> None:
        """The reference and the baseline, from what has been measured before."""
        own = [r for r in found if r.measurement is not None and r.repeat_of is None]
        for r in sorted(own, key=lambda r: not r.is_reference):
            if self._baseline is None and str(r.allocation) == str(self.spec.baseline):
                self._baseline = r.measurement
            if self._reference is None and r.measurement is not None:
                self._reference = reference_of(r.measurement)

    def _carry_over(self) -> None:
        """Add to this study what the one it has grown from measured, scored by today's weights."""
        found = carried_over(self.study, self.spec)
        self._resume([*self._known(), *found])
        for r in found:
            scored = self._score(r.allocation, r.measurement) if r.measurement is not None else None
            held = {t.user_attrs.get("carried_from"): t.number for t in self.study.get_trials(deepcopy=False)}
            spent = len(self._measured(r.allocation)) + 1 >= self.available(r.allocation)
            carry(self.study, self.spec.search_space, r, scored, held.get(r.repeat_of, r.repeat_of), spent=spent)

    def _unwritten(self) -> list[Row]:
        """Trials that were told and whose line a killed run could not write any more."""
        written = "".join(p.read_text() for p in self.folder.glob("epoch_*/metrics.jsonl"))
        carried = {t.number for t in self.study.get_trials(deepcopy=False) if "carried_from" in t.user_attrs}
        return [r for r in self._known() if r.number not in carried and json.dumps(self._test_id(r)) not in written]

    def _test_id(self, r: Row) -> str:
        return f"{self.study.study_name}/{r.number}"

    def _write_metrics(self) -> None:
        """All trials of this run, whole or not at all."""
        if not self.number:
            names = [p.name.removeprefix("epoch_") for p in self.folder.glob("epoch_*")]
            self.number = max((int(n) for n in names if n.isdecimal()), default=0) + 1
        folder = self.folder / f"epoch_{self.number}"
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / "metrics.draft"
        lines = [json.dumps(r.to_json(self._test_id(r))) for r in (*self._owed, *self._done)]
        draft.write_text("".join(f"{line}\n" for line in lines))
        draft.replace(folder / "metrics.jsonl")


def guess_s(spec: Spec) -> float:
    """Seconds of a trial before any was measured: starts, the services alone, the window twice over, the ladder."""
    w = spec.workload
    return START_GUESS_S + 15.0 + 1.5 * w.window_s + w.ladder_s
