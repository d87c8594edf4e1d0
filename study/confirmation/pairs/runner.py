"""`Runner` measures the pairs live: fresh launches in ABBA order, each pair kept as a whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from objectives.capacity.ramp_range import RampRange
from objectives.colocation.colocation import Colocation
from objectives.errors import SetupError
from objectives.evaluation import Failure, OnPhase
from study.bench.bench import Bench
from study.confirmation.journal import write_journal
from study.confirmation.pairs.arrivals import slices_in_words
from study.confirmation.pairs.going_on import holds_on
from study.confirmation.pairs.hold import measure_hold
from study.confirmation.pairs.launcher import Launched, Launcher, driven, scored_words
from study.confirmation.pairs.next_step import Next, StepName, next_step
from study.confirmation.pairs.pair import (
    Launch,
    PairOutcome,
    gains_in_words,
    pair_in_words,
    pair_of,
)
from study.confirmation.pairs.part import Part
from study.confirmation.pairs.stress import measure_stress
from study.confirmation.pairs.time_needed import expected_step_s, outlook
from study.confirmation.records import FailedLaunch, PairsJournal, TodayLaunch
from study.confirmation.subject import Subject
from study.confirmation.verdict.assess import hold_to_come
from study.rule.pairs import Role
from study.search.expected_time import TimeBudget

PATIENCE = 2  # pairs in a row that may be disturbed


@dataclass(slots=True)
class Runner:
    """A runner measures what is left of a confirmation.

    Args:
        of: What is confirmed.
        bench: This machine: device, setting and versions of the servers.
        folder: Where the journal and the logs go.
        journal: What is measured so far.
        tell: Called with each line for the user.
        most: How many pairs to measure at most.
        part: Which of them are this card's.
        budget: Nothing is begun that would not end within it.
        steps: How many steps to take at most; None for no limit.
        on_phase: Called as each phase begins.
        elsewhere: The steps that are measured in lanes.

    Attributes:
        launcher: It makes the launches, and knows the ranges of ramps.
    """

    of: Subject
    bench: Bench
    folder: Path
    journal: PairsJournal
    tell: Callable[[str], None]
    most: int
    part: Part
    budget: TimeBudget
    steps: int | None = None
    on_phase: OnPhase = lambda _: None
    elsewhere: tuple[StepName, ...] = ()
    launcher: Launcher = field(init=False)
    _serving: Role | None = field(default=None, init=False)  # whose hold was the last
    _disturbed: dict[str, int] = field(default_factory=dict, init=False)  # in a row, by card

    def __post_init__(self) -> None:
        """Take over what an earlier run has scored and fixed."""
        words = scored_words(self.journal, self.of)
        self.launcher = Launcher(
            self.of,
            self.tell,
            dict(self.journal.ramp_ranges),
            self._keep_ranges,
            words,
            watch=self.on_phase,
        )

    def _keep_ranges(self, ranges: Mapping[str, RampRange]) -> None:
        """Write the ranges of ramps at once: they take long to find, and a pair may be cut."""
        self.journal = replace(self.journal, ramp_ranges=ranges)
        write_journal(self.journal, self.folder)

    def run(self) -> PairsJournal:
        """Measure until a look decides or the time is up; what is measured is on disk.

        Raises:
            SetupError: Pairs are disturbed again and again.
        """
        self.say_outlook()
        self.measure()
        return self.journal

    def say_outlook(self, cards: int = 1) -> None:
        """Say what is left to measure, on so many cards at once."""
        if (step := next_step(self.journal, self.of, self.most, self.part)) is None:
            return
        here = holds_on(self.journal, self.bench.identity)
        self.tell(outlook(here, self.of, self.most, self.part, cards))
        if step.step != "hold":
            for line in slices_in_words(self.of.traffics, self.most, self.of.clips):
                self.tell(line)

    def measure(self) -> None:
        """Measure here until a look decides, the time is up or what is next is measured elsewhere.

        Raises:
            SetupError: Pairs are disturbed again and again.
        """
        setting, done = replace(self.bench.setting, precheck=False), 0
        devices, on_phase = self.bench.devices, self.launcher.on_phase
        card = self.bench.identity.uuid
        with Colocation(setting, devices, self.folder, on_phase=on_phase) as colocation:
            while (step := self._next()) is not None and self.has_time(step, card):
                if self.steps is not None and done >= self.steps:
                    break
                done += 1
                self.write(card, is_kept=self._take(step, colocation))

    def write(self, card: str, *, is_kept: bool) -> None:
        """Write the journal after a step.

        Args:
            card: Where it was measured.
            is_kept: Whether it counts.

        Raises:
            SetupError: Too many in a row were disturbed on that card.
        """
        self._disturbed[card] = 0 if is_kept else self._disturbed.get(card, 0) + 1
        write_journal(self.journal, self.folder)
        if self._disturbed[card] >= PATIENCE:
            raise SetupError(
                f"two in a row were disturbed ({self.journal.left_out[-1]}); "
                "end what else uses this device, and run the same command again"
            )

    def _next(self) -> Next | None:
        """Return what is measured here next; None where nothing is."""
        step = next_step(self.journal, self.of, self.most, self.part)
        return None if step is None or step.step in self.elsewhere else step

    def has_time(self, step: Next, card: str) -> bool:
        """Tell whether the next step would end in time on this card."""
        needed_s = expected_step_s(step, self.journal, self.of, card, self._serving)
        if self.budget.lets_begin(needed_s):
            return True
        left_s = max(0, self.budget.left_s)
        self.tell(
            f"the next needs about {needed_s:.0f} s and {left_s:.0f} s are left: "
            "run the same command again"
        )
        return False

    def _take(self, step: Next, colocation: Colocation) -> bool:
        """Measure a step, and return whether it counts."""
        if step.step == "today":
            return self._today(step, colocation)
        if step.step == "stress":
            return self._stress(step, colocation)
        if step.step == "hold":
            return self._hold(colocation)
        return self._pair(step, colocation)

    def leave_out(self, step: Next, why: str) -> None:
        """Note why a step counts for nothing."""
        self.tell(f"  left out: {why}")
        reason = f"{step.step} {step.number}: {why}"[:300]
        self.journal = replace(self.journal, left_out=(*self.journal.left_out, reason))

    def _today(self, step: Next, colocation: Colocation) -> bool:
        """Launch what is in use, which its study could not start, once more."""
        if self.of.today is None:
            return True
        self.tell("what is in use today, which did not work in the study, once more")
        began_s, at = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
        launch = self.launcher.launch(
            "baseline", self.of.today, colocation, self.folder / "today", self.of.traffics[:1]
        )
        if isinstance(launch, Failure):
            self.leave_out(step, f"{launch}")
            return False
        failure = launch.diagnosis if isinstance(launch, FailedLaunch) else None
        wall_s = round(time.monotonic() - began_s, 1)
        today = TodayLaunch(failure=failure, at=at, wall_s=wall_s)
        self.journal = replace(self.journal, today=today)
        return True

    def _stress(self, step: Next, colocation: Colocation) -> bool:
        self.tell(
            "stress of the winner: longest prompts and a burst of speech; "
            "then speech is restarted, and again"
        )
        self.launcher.under, words = "", self.launcher.word_errors
        stress = measure_stress(self.of, self.journal, colocation, self.folder, words, self.tell)
        if isinstance(stress, Failure):
            self.leave_out(step, f"{stress}")
            return False
        self.journal = replace(self.journal, stress=stress)
        return True

    def _hold(self, colocation: Colocation) -> bool:
        """Measure a hold; those of another card go once one was measured here."""
        device = self.bench.identity
        here = holds_on(self.journal, device)
        if (next_hold := hold_to_come(here, self.of)) is None:
            return True
        role, per_s = next_hold
        step = Next("hold", len(here.holds) + 1)
        if here is not self.journal:
            self.tell(f"  {here.left_out[-1]}")
        hold_s = self.of.traffics[0].workload.hold_s
        self.tell(f"hold {step.number}: {role} at {per_s:.2f} turns/s for {hold_s:g} s")
        self.launcher.under, self._serving = "", None
        outcome = measure_hold(self.of, here, role, per_s, colocation, self.folder, device)
        if isinstance(outcome, Failure):
            self.leave_out(step, f"{outcome}")
            return False
        if isinstance(outcome, FailedLaunch):
            self.tell(f"  {role}: {outcome.diagnosis.failure_class}: {outcome.diagnosis.evidence}")
            self.journal = replace(self.journal, failure=outcome)
        else:
            hold = outcome.hold
            good = "no turn came" if hold.good_pct is None else f"{hold.good_pct:.1f} % good"
            self.tell(f"  {'held' if hold.is_held else 'not held'}: {good}")
            self.journal, self._serving = replace(here, holds=(*here.holds, outcome)), role
        return True

    def _pair(self, step: Next, colocation: Colocation) -> bool:
        self.tell(pair_in_words(step, self.of, self.most, self.part))
        steps = pair_of(step, self.of, self.folder, self.bench.identity, self.part)
        return self.keep(step, driven(steps, partial(self._launched, colocation)))

    def _launched(self, colocation: Colocation, x: Launch) -> Launched:
        return self.launcher.launch(x.role, x.allocation, colocation, x.folder, x.traffics)

    def keep(self, step: Next, outcome: PairOutcome) -> bool:
        """Keep what came of a pair, wherever it was measured, and return whether it counts."""
        if isinstance(outcome, str):
            self.leave_out(step, outcome)
            return False
        if isinstance(outcome, FailedLaunch):
            self.journal = replace(self.journal, failure=outcome)
        else:
            pairs = tuple(sorted((*self.journal.pairs, outcome), key=lambda p: (p.stage, p.number)))
            self.journal = replace(self.journal, pairs=pairs)
            for line in gains_in_words(outcome, self.of.rule) if step.step == "ab" else ():
                self.tell(f"  {line}")
        return True
