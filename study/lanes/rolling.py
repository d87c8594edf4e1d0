"""An epoch of a study runs on several cards: a lane that is free gets its next trial at once.

The baseline comes first and alone: it is what scores are relative to, and finds the range of the
ramps. Then each other card measures it once, as a bridge. Nothing waits for a generation's end.
The last launches are those of leaders on a second card.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import optuna

from objectives.allocation import Allocation
from objectives.evaluation import Job
from study.bench.launch_order import launch_key
from study.lanes.across_cards import Bridges, Finals, finals_in
from study.lanes.lane import Ended, GivenBack, Lane, Task, launch_keys
from study.lanes.lanes import Lanes
from study.search.ask import ask_trial, queue_again, with_origin
from study.search.expected_time import TimeBudget
from study.search.known_results import Ending, RunLimit
from study.search.tell import abandon, give_up, set_attributes
from study.search.trial_ends import UnderWay
from study.search.trial_steps import TrialSteps
from study.storage.context import RAMP_RANGE
from study.storage.trial import BRIDGE, REPLICATE, Begun, State
from study.storage.trials import counted

AskedTrial = tuple[optuna.Trial, Begun]
CHOICE = 4  # trials are asked for ahead: more would be proposed with less known
LATE = 4 * CHOICE  # trials asked for after one that still waits: now it comes first
RARELY = 256  # configurations that are left: a space that has fewer is looked at for every trial


@dataclass(slots=True, kw_only=True)
class RollingEpoch(TrialSteps):
    """A rolling epoch measures the trials of one run in lanes.

    The budget counts what is being measured, so that it is never overshot.

    Args:
        lanes: They measure.
        on_lane: It is told of each lane that begins a trial.
    """

    lanes: Lanes
    on_lane: Callable[[Lane, Begun], None] = lambda *_: None
    _queue: list[AskedTrial] = field(default_factory=list, init=False)
    _under_way: dict[int, UnderWay] = field(default_factory=dict, init=False)
    _ending: Ending | None = field(default=None, init=False)
    _bridges: Bridges = field(init=False)
    _finals: Finals = field(init=False)
    _waiting: set[str] = field(default_factory=set, init=False)  # cards, until a trial ends
    _asks_left: int = field(default=0, init=False)  # until the space is looked at again
    _keys: dict[str, tuple[str, ...]] = field(default_factory=dict, init=False)

    def run(self) -> Ending:
        """Measure until the budget, the time or the space ends; return which of them it was.

        Raises:
            SetupError: No lane is left, or this machine cannot run the study at all.
            KeyboardInterrupt: A signal asked for the end.
        """
        budget = TimeBudget(self.timeout_s, self.progress.on_line)
        self._bridges = Bridges(self.study)
        self._finals = Finals(self.context, finals_in(self.max_trials))
        self.open()
        try:
            while True:
                free = self.lanes.free()
                if not self._waits_for_ends():
                    for lane in free:
                        if lane.card not in self._waiting or not self._under_way:
                            self._feed(lane, budget)
                if self._ending is not None and not self._under_way:
                    break
                for end in self.lanes.wait():
                    self._take(end)
        except BaseException as error:
            self.lanes.close()
            begun = [under_way.trial for under_way in self._under_way.values()]
            abandon(self.study, error, begun, [trial for trial, _ in self._queue])
            raise
        for trial, _ in self._queue:
            give_up(self.study, trial, State.NOT_STARTED)
        return self._ending

    def _waits_for_ends(self) -> bool:
        """Return whether no lane can be fed before a trial ends."""
        return bool(self._under_way) and not self._queue and self._left() <= 0

    def _feed(self, lane: Lane, budget: TimeBudget) -> None:
        """Give a free lane its next trial, where there is one for it now."""
        while self._ending is None and (candidate := self._next(lane)) is not None:
            trial, begun = candidate
            earlier = self.results.answer(begun)
            needed_s = self.needed_s(earlier)
            if budget.is_over if earlier else not budget.lets_begin(needed_s):
                self._ending = Ending(
                    limit=RunLimit.TIME, needed_s=needed_s, timeout_s=self.timeout_s
                )
                return
            if earlier is not None:
                self.ends.repeat(trial, begun, earlier)
                self._queue.remove(candidate)
                continue
            same = [str(u.begun.allocation) for u in self._under_way.values()]
            under_way = self.begin(trial, begun, same.count(str(begun.allocation)))
            self._queue.remove(candidate)
            self._under_way[trial.number] = under_way
            job, card = under_way.job, lane.card if begun.role == BRIDGE else None
            if lane.is_prepared and not self.restarts:
                job = replace(job, is_fresh=False)  # its servers were launched for it
            self.lanes.give(lane, Task(trial.number, f"trial {trial.number}", job, card))
            self.on_lane(lane, begun)
            return

    def _next(self, lane: Lane) -> AskedTrial | None:
        """Return the trial that a lane is to measure next; None where it has to wait.

        Of what is asked for it takes what needs the LLM that it runs; else what needs one that no
        other lane runs. What was measured goes to a card that has not measured it. None of these
        keeps a trial waiting for long.
        """
        has_reference = self.ends.scorer.reference is not None
        if not has_reference and self._under_way:  # what others are compared with comes alone
            self.lanes.prepare(lane, Job(self.context.baseline, 0, lane.folder / "prepared"))
            return None
        if has_reference and self._is_to_bridge(lane) and (candidate := self._bridge()) is not None:
            return candidate
        if not self._queue and 0 < self._left() <= self._finals.left:
            if (candidate := self._final(lane)) is not None:
                return candidate
            if self._leader([living.card for living in self.lanes.living]) is not None:
                self._waiting.add(lane.card)
                return None
        self._ask(min(len(self.lanes.living), CHOICE) if has_reference else 1)
        if not self._queue and self._left() > 0:
            return self._final(lane)
        own, others = launch_keys(lane, self.lanes.living, self._key)
        newest = max((trial.number for trial, _ in self._queue), default=0)

        def cost(candidate: AskedTrial) -> tuple[bool, bool, bool, bool, bool, bool, int]:
            trial, begun = candidate
            key = self._key(begun.allocation)
            is_kept, is_elsewhere = key == own, key in others
            return (
                has_reference or str(begun.allocation) != str(self.context.baseline),
                begun.role == BRIDGE,  # its lane asks for it
                newest - trial.number < LATE,
                begun.role == REPLICATE and self._is_for_others(lane, begun.allocation),
                not (is_kept or self.restarts),
                is_elsewhere and not self.restarts,
                trial.number,
            )

        return min(self._queue, key=cost, default=None)

    def _is_for_others(self, lane: Lane, allocation: Allocation) -> bool:
        """Return whether a lane's card has measured an allocation that another has not."""
        launches = (t.measurement for t in self.results.measured(allocation))
        cards = {launch.measured_on for launch in launches if launch is not None}
        return lane.card in cards and not cards.issuperset(it.card for it in self.lanes.living)

    def _key(self, allocation: Allocation) -> tuple[str, ...]:
        """Return the launch key of an allocation, which takes a while to make."""
        text = str(allocation)
        if text not in self._keys:
            self._keys[text] = launch_key(self.context.services, allocation)
        return self._keys[text]

    def _is_to_bridge(self, lane: Lane) -> bool:
        """Return whether a lane's card is to measure the baseline, which works, now or again."""
        if not self._bridges.is_due(lane.identity):
            return False
        baseline = self.results.measured(self.context.baseline)
        return any(trial.measurement is not None for trial in baseline)

    def _bridge(self) -> AskedTrial | None:
        """Return the baseline once more; None where the budget has no trial left for it."""
        waiting = [candidate for candidate in self._queue if candidate[1].role == BRIDGE]
        if not waiting and self._left() > 0:
            queue_again(self.study, self.space, self.context.baseline, BRIDGE)
            while self._left() > 0 and self._ask_one()[1].role != BRIDGE:
                pass  # what waited before it is kept for other lanes
            waiting = [candidate for candidate in self._queue if candidate[1].role == BRIDGE]
        return waiting[0] if waiting else None

    def _final(self, lane: Lane) -> AskedTrial | None:
        """Return a leader that only one other card has measured; None where there is none."""
        if (leader := self._leader([lane.card])) is None:
            return None
        self._finals.left -= 1
        queue_again(self.study, self.space, leader, REPLICATE)
        while self._left() > 0:
            candidate = self._ask_one()
            if (candidate[1].role, str(candidate[1].allocation)) == (REPLICATE, str(leader)):
                return candidate
        return None

    def _leader(self, cards: Sequence[str]) -> Allocation | None:
        under_way = [str(begun.allocation) for begun in self._pending()]
        return self._finals.leader(cards, counted(self.study), under_way)

    def _left(self) -> int:
        """Return how many trials the budget has beside those that are measured or asked for."""
        return self.max_trials - len(counted(self.study)) - len(self._pending())

    def _pending(self) -> list[Begun]:
        return [u.begun for u in self._under_way.values()] + [begun for _, begun in self._queue]

    def _ask(self, wanted: int) -> None:
        """Ask until so many trials can be chosen from; note the end where there is none any more.

        Args:
            wanted: As many as there are lanes.
        """
        while len(self._queue) < wanted and self._left() > (
            self._finals.left if self._queue else 0
        ):
            if self._asks_left <= 0 and self._is_space_over():
                return
            self._asks_left -= 1
            self._ask_one()
        if self._left() <= 0 and not self._pending():
            self._ending = Ending(limit=RunLimit.TRIALS, max_trials=self.max_trials)

    def _is_space_over(self) -> bool:
        """Return whether nothing is left to ask for now; note the end where that stays so.

        A large space is looked at rarely, since that takes a moment.
        """
        pending = [begun.allocation for begun in self._pending()]
        left = self.results.unmeasured(pending)
        if left == 0 and not self.results.replicates_now():
            if not pending and self._leader([lane.card for lane in self.lanes.free()]) is None:
                self._ending = self.results.end_of_space()
            return True  # what comes then depends on what is being measured
        self._asks_left = 1 if left is not None and left < RARELY else RARELY // 8
        return False

    def _ask_one(self) -> AskedTrial:
        trial, allocation = ask_trial(self.study, self.space)
        candidate = trial, with_origin(self.study, trial, allocation)
        self._queue.append(candidate)
        return candidate

    def _take(self, end: Ended | GivenBack) -> None:
        """Tell what came of a trial; one that no lane could end uses no budget."""
        self._waiting.clear()
        under_way = self._under_way[end.task.number]
        trial, begun = under_way.trial, under_way.begun
        set_attributes(trial, lost=list(end.lost) or None)
        if isinstance(end, GivenBack):
            give_up(self.study, trial, State.INTERRUPTED)
        else:
            set_attributes(trial, card=end.card)
            if self.lanes.ramp_range is not None and RAMP_RANGE not in self.study.user_attrs:
                self.study.set_user_attr(RAMP_RANGE, self.lanes.ramp_range.to_json())
            started_s = time.monotonic() - end.wall_s
            self.ends.end(replace(under_way, job=end.task.job, started_s=started_s), end.outcome)
            lane = next(lane for lane in self.lanes.lanes if lane.card == end.card)
            is_baseline = str(begun.allocation) == str(self.context.baseline)
            self._bridges.note(lane.identity, is_baseline=is_baseline)
        del self._under_way[trial.number]
