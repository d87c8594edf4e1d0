"""`SeveralCards` measures the pairs of a confirmation in lanes, each pair whole in one of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count

from objectives.engines.every import compile_caches
from objectives.errors import SetupError
from study.bench.bench import Bench
from study.confirmation.journal import write_journal
from study.confirmation.live.pair_in_lane import Measuring, in_lane
from study.confirmation.pairs.next_step import PAIRS, Next, next_pairs, next_step
from study.confirmation.pairs.pair import pair_in_words
from study.confirmation.pairs.runner import Runner
from study.confirmation.records import PairsJournal
from study.lanes.card_names import short_name
from study.lanes.lane import Ended, GivenBack, Lane, Task
from study.lanes.lanes import Lanes
from study.lanes.losses import Patience
from study.lanes.measuring import lanes_on
from study.lanes.process.messages import Under
from study.lanes.process.program import own_caches

MOST_LOST = 3  # lanes that one pair may lose


@dataclass(slots=True)
class SeveralCards:
    """The pairs are measured on several cards at once, and all else on the first of them.

    Args:
        runner: It keeps the journal, and measures all else.
        machines: A bench for each lane, the runner's first.
    """

    runner: Runner
    machines: Sequence[Bench]
    _at: dict[str, Measuring] = field(default_factory=dict, init=False)  # by card
    _lost: dict[Next, list[str]] = field(default_factory=dict, init=False)  # the cards
    _numbers: Iterator[int] = field(default_factory=count, init=False)
    _is_over: bool = field(default=False, init=False)
    _without_time: set[str] = field(default_factory=set, init=False)  # cards
    _fault: SetupError | None = field(default=None, init=False)  # once what is measured has ended
    _judged: PairsJournal | None = field(default=None, init=False)  # by which the next were found
    _step: Next | None = field(default=None, init=False)
    _open: list[Next] = field(default_factory=list, init=False)

    def run(self) -> PairsJournal:
        """Measure until a look decides or the time is up; what is measured is on disk.

        Raises:
            SetupError: Pairs are disturbed again and again, or no lane is left.
        """
        runner = self.runner
        runner.elsewhere = PAIRS
        runner.bench = self._first()
        runner.say_outlook(len(self.machines))
        while (step := self._next()) is not None and not self._is_over:
            if step.step in PAIRS:
                self._pairs()
                continue
            runner.bench = self._first()
            with caches_of(runner.bench.identity.uuid):
                runner.measure()
            after = self._next()
            self._is_over = after is not None and after.step not in PAIRS
        return runner.journal

    def _first(self) -> Bench:
        """Return the machine of the holds so far, or the first that is still used."""
        of_holds = {hold.card for hold in self.runner.journal.holds}
        return next((m for m in self.machines if m.identity.uuid in of_holds), self.machines[0])

    def _next(self) -> Next | None:
        """Return what comes next; a journal is judged once, since that takes a moment."""
        runner = self.runner
        if self._judged is not runner.journal:
            self._judged = runner.journal
            self._step = next_step(runner.journal, runner.of, runner.most)
            self._open = next_pairs(runner.journal, runner.of, runner.most)
        return self._step

    def _pairs(self) -> None:
        """Measure pairs until something else comes next, or the time is up."""
        machines = [replace(m, setting=replace(m.setting, precheck=False)) for m in self.machines]
        longest_s = max(t.workload.window_s + t.workload.ramp_s for t in self.runner.of.traffics)
        patience = Patience(retries=0, overtime_s=Patience().overtime_s + 2 * longest_s)
        folder, tell = self.runner.folder, self.runner.tell
        self._without_time.clear()
        with lanes_on(machines, folder, None, (), tell, patience=patience) as lanes:
            self._measure_in(lanes)
            used = zip(self.machines, lanes.lanes, strict=True)
            self.machines = [machine for machine, lane in used if lane.retired is None]
        if self._fault is not None:
            raise self._fault

    def _measure_in(self, lanes: Lanes) -> None:
        while True:
            for lane in lanes.free():
                self._feed(lane, lanes)
            if lanes.living:
                self._is_over |= all(lane.card in self._without_time for lane in lanes.living)
            if not self._at and (self._is_over or not self._startable()):
                return
            for end in lanes.wait():
                self._take(end, lanes)
            if self._next() is None:
                self._at.clear()  # what is still measured cannot change the verdict
                return

    def _startable(self) -> list[Next]:
        """Return the pairs that a lane may begin now."""
        self._next()
        at = {measuring.step for measuring in self._at.values()}
        return [step for step in self._open if step not in at]

    def _feed(self, lane: Lane, lanes: Lanes) -> None:
        """Give a free lane its next pair, where there is one for it now."""
        if self._is_over or lane.card in self._without_time:
            return
        if self._at and self._needs_range():
            return  # the first launch finds the range of all ramps alone
        others = len(lanes.living) > 1
        for step in self._startable():
            if others and self._lost.get(step, [])[-1:] == [lane.card]:
                continue
            if not self.runner.has_time(step, lane.card):
                self._without_time.add(lane.card)
                return
            steps = in_lane(step, self.runner, lane)
            measuring = Measuring(step, steps, next(steps))
            self._at[lane.card] = measuring
            what = pair_in_words(step, self.runner.of, self.runner.most)
            self.runner.tell(f"{what}, on {lane.name}")
            self._order(lane, lanes, measuring)
            return

    def _needs_range(self) -> bool:
        ranges = self.runner.launcher.ramp_ranges
        traffics = self.runner.of.traffics
        return any(t.workload.ramp_s > 0 and t.name not in ranges for t in traffics)

    def _order(self, lane: Lane, lanes: Lanes, measuring: Measuring) -> None:
        """Let the lane measure the job that the pair asks for."""
        traffic = measuring.order.traffic
        ramp_range = self.runner.launcher.ramp_ranges.get(traffic.name)
        under = Under(traffic.workload, traffic.requests, ramp_range)
        label = f"a launch of {measuring.name}"
        lanes.give(lane, Task(next(self._numbers), label, measuring.order.job, lane.card, under))

    def _take(self, end: Ended | GivenBack, lanes: Lanes) -> None:
        """Go on with the pair whose job has ended, or begin it anew where its lane was lost."""
        card = str(end.task.card)
        measuring, runner = self._at[card], self.runner
        if isinstance(end, GivenBack):
            del self._at[card]
            self._begin_anew(measuring, card, end.lost)
            return
        workload = measuring.order.traffic.name
        runner.launcher.range_found(workload, end.ramp_range, end.outcome)
        try:
            measuring.order = measuring.steps.send(end.outcome)
        except StopIteration as ended:
            del self._at[card]
            runner.tell(f"{measuring.name} has ended on {short_name(card)}")
            is_kept = runner.keep(measuring.step, ended.value)
            try:
                runner.write(card, is_kept=is_kept)
            except SetupError as fault:  # pairs of other cards end first
                self._fault, self._is_over = fault, True
            return
        lane = next(lane for lane in lanes.lanes if lane.card == card)
        self._order(lane, lanes, measuring)

    def _begin_anew(self, measuring: Measuring, card: str, lost: Sequence[str]) -> None:
        """Note a pair whose lane was lost: it is measured whole, on another card if there is one.

        Raises:
            SetupError: It was lost too often.
        """
        cards = self._lost.setdefault(measuring.step, [])
        cards.append(card)
        why = lost[-1] if lost else f"{card} is used no more"
        self.runner.leave_out(measuring.step, why)
        write_journal(self.runner.journal, self.runner.folder)
        if len(cards) >= MOST_LOST:
            raise SetupError(
                f"{measuring.name} lost its lane {len(cards)} times ({why}); "
                "see to it, and run the same command again: whole pairs are kept"
            )
        if not self._is_over:
            self.runner.tell(f"{measuring.name} is begun anew")


@contextmanager
def caches_of(card: str) -> Iterator[None]:
    """Use the caches of compiled models that the lane of a card uses, while the block lasts."""
    before = {variable: os.environ.get(variable) for variable in compile_caches()}
    own_caches(card)
    try:
        yield
    finally:
        for variable, value in before.items():
            os.environ.pop(variable, None)
            if value is not None:
                os.environ[variable] = value
