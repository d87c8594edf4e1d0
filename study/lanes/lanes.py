"""Lanes are fed one by one; what a lost one measured is tried again in another."""

from __future__ import annotations

import math
import select
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

from objectives import waiting
from objectives.allocation import Allocation
from objectives.capacity.ramp_range import RampRange
from objectives.devices.device_set import DeviceSet, as_one
from objectives.devices.telemetry import Occupancy
from objectives.errors import SetupError
from objectives.evaluation import Job
from objectives.measurement import Measurement
from objectives.setting import Setting
from study.lanes.card_names import folder_name
from study.lanes.lane import Ended, GivenBack, Lane, Task
from study.lanes.losses import Patience, Retries
from study.lanes.process.connection import CardGone, Transport
from study.lanes.process.lane_process import Here
from study.lanes.process.messages import (
    Answer,
    Beat,
    Doing,
    Message,
    Opening,
    Order,
    Prepare,
    Question,
    Ready,
    Refusal,
    Verdict,
)


class Lanes:
    """Lanes are a context manager; at its end every lane and server has ended.

    Args:
        devices: The cards of each lane.
        setting: What is the same for all that is measured.
        folder: Each lane has a folder of its own in it.
        measurements: What was measured before, for the memory arithmetic.
        ramp_range: The range of the study's ramps; None where the first measurement finds it.
        cores: The cores of each lane; none where all share those of this process.
        say: It is given a line for people.
        patience: When a lane is lost.
        transport: It starts their processes.

    Attributes:
        lanes: The lanes, in the order of their cards.
        ramp_range: As above, found meanwhile.
    """

    def __init__(
        self,
        devices: Sequence[DeviceSet],
        setting: Setting,
        folder: Path,
        *,
        measurements: Sequence[tuple[Allocation, Measurement]] = (),
        ramp_range: RampRange | None = None,
        cores: Sequence[tuple[int, ...]] = (),
        say: Callable[[str], None] = lambda _: None,
        patience: Patience = Patience(),  # noqa: B008  frozen
        transport: Transport = Here(),  # noqa: B008  frozen
    ) -> None:
        self.setting, self.patience, self.transport = setting, patience, transport
        self.ramp_range, self._say = ramp_range, say
        self._measurements = [(a, m, "") for a, m in measurements]  # with the card, of this run
        self._retries = Retries(patience.retries)
        self._attempts = 0
        self._ends: list[Ended | GivenBack] = []
        self.lanes = [
            Lane(
                number,
                cards,
                cores[number] if cores else (),
                folder / "lanes" / folder_name(as_one(cards).uuid),
                {name: card.sample().free_mib for name, card in cards.items()},
            )
            for number, cards in enumerate(devices)
        ]

    def __enter__(self) -> Self:
        try:
            for lane in self.lanes:
                self._start(lane)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every lane: first all are told, then all are waited for."""
        processes = [lane.process for lane in self.lanes if lane.process is not None]
        for process in processes:
            process.close()
        until_s = time.monotonic() + self.patience.end_s
        while time.monotonic() < until_s and not all(p.has_ended() for p in processes):
            time.sleep(0.01)
        for process in processes:
            process.kill()
        for lane in self.lanes:
            lane.process = None

    @property
    def living(self) -> list[Lane]:
        """Return the lanes that are still used."""
        return [lane for lane in self.lanes if lane.retired is None]

    @property
    def tasks(self) -> list[Task]:
        """Return what is being measured, or will be again."""
        return [lane.task for lane in self.lanes if lane.task] + self._retries.tasks

    def occupancy(self) -> Occupancy:
        """Return who holds the memory of the LLMs' cards, by what the lanes told last."""
        seen = [lane.occupancy for lane in self.living if lane.occupancy is not None]
        held: Counter[str] = Counter()
        for occupancy in seen:
            held.update(occupancy.held_mib)
        return Occupancy(
            sum(o.total_mib for o in seen),
            sum(o.free_mib for o in seen),
            dict(held),
            sum(o.others_mib for o in seen),
        )

    def free(self) -> list[Lane]:
        """Return the lanes that wait for a task, once those that were lost have been given anew."""
        for lane in self.living:
            if not lane.is_free:
                continue
            task = self._retries.take(lane.card, is_last=len(self.living) == 1)
            if task is not None:
                self.give(lane, task)
        return [lane for lane in self.living if lane.is_free]

    def prepare(self, lane: Lane, job: Job) -> None:
        """Let a free lane that has measured nothing start the servers of a job, once."""
        if lane.last is None and lane.process is not None:
            lane.last, lane.is_prepared = job.allocation, True
            lane.process.tell(Prepare(job))

    def give(self, lane: Lane, task: Task) -> None:
        """Let a lane that is free measure a task."""
        assert lane.process is not None  # noqa: S101  it is free
        self._attempts += 1
        task = self._retries.with_own_folder(task)
        new = self._measurements[lane.measurements_known :]
        of_others = [(a, m) for a, m, card in new if card != lane.card]
        lane.measurements_known, lane.is_prepared = len(self._measurements), False
        lane.task, lane.attempt, lane.last = task, self._attempts, task.job.allocation
        lane.since_s = lane.heard_s = time.monotonic()
        is_raced, job = task.job.is_worth is not None, replace(task.job, is_worth=None)
        order = Order(lane.attempt, job, is_raced, self.ramp_range, of_others, task.under)
        lane.process.tell(order)

    def wait(self) -> list[Ended | GivenBack]:
        """Return what has ended, after a moment; nothing where nothing has.

        Raises:
            SetupError: No lane is left.
            KeyboardInterrupt: As `objectives.waiting`.
        """
        waiting.check()
        outputs = [lane.process.output for lane in self.living if lane.process is not None]
        select.select(outputs, [], [], waiting.LOOK_S)
        for lane in self.living:
            self._look(lane)
        ends, self._ends = self._ends, []
        if not ends and not self.living:
            why = "; ".join(f"{lane.name}: {lane.retired}" for lane in self.lanes)
            raise SetupError(
                f"no lane is left ({why}); run the same command again: what was measured is kept"
            )
        return ends

    def _look(self, lane: Lane) -> None:
        """Hear what a lane says, and notice where it is lost or may begin again."""
        now_s, process = time.monotonic(), lane.process
        if process is None:
            self._begin_again(lane, now_s)
            return
        process.flush()
        has_ended = process.has_ended()
        try:
            messages = process.messages()
        except ValueError as error:
            self._lose(lane, str(error))
            return
        for message in messages or ():
            lane.heard_s = now_s
            self._hear(lane, message)
        if lane.retired is not None:
            return
        longest_s = lane.longest_s + self.patience.overtime_s
        if messages is None or (has_ended and not messages):
            self._lose(lane, process.last_words())
        elif now_s - lane.heard_s > self.patience.silent_s:
            self._lose(lane, f"it said nothing for {self.patience.silent_s:g} s and was ended")
        elif lane.task is not None and now_s - lane.since_s > longest_s:
            self._lose(lane, f"it was at work for {longest_s:,.0f} s and was ended")

    def _hear(self, lane: Lane, message: Message) -> None:
        match message:
            case Ready(identities, longest_s):
                firsts = [device.identity for device in self.lanes[0].devices.values()]
                for first, own in zip(firsts, identities, strict=True):
                    is_like = first.is_like(own.product, own.total_mib)
                    if lane.retired is None and not (is_like and own.driver == first.driver):
                        self._retire(lane, f"{own.product} is not comparable with {first.product}")
                lane.is_ready, lane.longest_s = True, longest_s
                lane.phase, lane.phase_s = None, lane.heard_s
            case Beat(occupancy):
                lane.occupancy = occupancy
            case Doing(phase):
                lane.phase, lane.phase_s = phase, lane.heard_s
            case Question(attempt, number, so_far) if lane.task and attempt == lane.attempt:
                is_worth = lane.task.job.is_worth or (lambda _: True)
                if lane.process is not None:
                    lane.process.tell(Verdict(number, is_worth(so_far)))
            case Answer() as answer if lane.task and answer.attempt == lane.attempt:
                if self.ramp_range is None:
                    self.ramp_range = answer.ramp_range
                if (measured := answer.outcome.measurement) is not None:
                    self._measurements.append((lane.task.job.allocation, measured, lane.card))
                lost = self._retries.end(lane.task)
                of = (answer.outcome, answer.wall_s, lost, answer.ramp_range)
                self._ends.append(Ended(lane.task, lane.card, *of))
                lane.task, lane.phase, lane.phase_s = None, None, lane.heard_s
            case Refusal(why):
                self._retire(lane, why)

    def _lose(self, lane: Lane, why: str) -> None:
        """End what is left of a lane, and let its task be tried again."""
        assert lane.process is not None  # noqa: S101  only such a one is lost
        lane.process.kill()
        lane.process, lane.is_ready, lane.last, lane.phase = None, False, None, None
        lane.is_prepared = False
        lane.losses, lane.lost_s = lane.losses + 1, time.monotonic()
        task, lane.task = lane.task, None
        what = f"the lane on {lane.name} was lost: {why}"
        if task is not None:
            is_tried_again = self._retries.lose(task, lane.card, f"{lane.name}: {why}")
            if not is_tried_again:
                self._give_back(task)
            what += f"; {task.label} is {'tried again' if is_tried_again else 'given up'}"
        self._say(what)
        if lane.losses >= self.patience.most_lost:
            self._retire(lane, f"lost {lane.losses} times, the last time since {why}")

    def _retire(self, lane: Lane, why: str) -> None:
        """Use a lane no more; what it alone may measure is given back."""
        if lane.process is not None:
            lane.process.close()
        lane.retired, lane.is_ready = why, False
        task, lane.task = lane.task, None
        if task is not None:
            self._retries.add(task, lane.card)
        for task in self._retries.take_all_of(lane.card):
            self._give_back(task)
        self._say(f"{lane.name} is used no more: {why}")

    def _give_back(self, task: Task) -> None:
        self._ends.append(GivenBack(task, self._retries.end(task)))

    def _begin_again(self, lane: Lane, now_s: float) -> None:
        """Start a lane that was lost, once the memory of what it ran is free again."""
        try:
            free_mib = self.transport.free_mib(lane.devices)
        except CardGone as error:
            self._retire(lane, str(error))
            return
        held_mib = math.inf
        if free_mib is not None:
            held_mib = max(lane.rest_mib[name] - mib for name, mib in free_mib.items())
        if held_mib <= self.setting.reserve_mib / 2:
            self._start(lane)
        elif now_s - lane.lost_s > self.patience.memory_s:
            what = "its machine did not answer"
            if free_mib is not None:
                what = f"{held_mib:,.0f} MiB of its memory did not come back"
            self._retire(lane, what)

    def _start(self, lane: Lane) -> None:
        known = [(a, m) for a, m, _ in self._measurements]
        lane.measurements_known, lane.heard_s = len(known), time.monotonic()
        lane.process = self.transport.start(lane.card, lane.folder / "lane.log")
        cards = {name: device.identity.uuid for name, device in lane.devices.items()}
        lane.process.tell(Opening(cards, lane.cores, self.setting, lane.folder, known))
