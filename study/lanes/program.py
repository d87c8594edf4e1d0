"""The program of a lane: it opens its card, and measures there what the driver orders."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from objectives import waiting
from objectives.colocation import Colocation
from objectives.devices.device import Device
from objectives.devices.device_set import device_set
from objectives.devices.open_device import open_device
from objectives.engines.every import compile_caches
from objectives.errors import InUse, SetupError
from study.bench.device_lock import sole_use
from study.lanes.channel import Channel
from study.lanes.messages import Answer, Doing, Opening, Order, Prepare, Ready, Refusal

EARLIER_S = 60.0  # until the lane of a driver that was killed has ended


def main(opened: Callable[[str], Device] = open_device) -> None:
    """Measure until the driver closes its pipe; its number is the last argument.

    Args:
        opened: It opens the card of a UUID.
    """
    waiting.listen()
    channel = Channel(sys.stdin.fileno(), int(sys.argv.pop()))
    try:
        serve(channel, channel.open(), opened)
    except (EOFError, KeyboardInterrupt):
        raise SystemExit(waiting.STOPPED) from None
    except SetupError as error:
        channel.tell(Refusal(str(error)))
        raise SystemExit(SetupError.exit_code) from None


def serve(channel: Channel, opening: Opening, opened: Callable[[str], Device]) -> None:
    """Open the card and measure what is ordered.

    Raises:
        SetupError: The card cannot be opened, or its earlier lane does not end.
        KeyboardInterrupt: The driver has closed the channel.
    """
    if opening.cores:
        os.sched_setaffinity(0, opening.cores)
    own_caches(opening.device)
    with (
        lane_lock(opening.device),
        Colocation(
            opening.setting,
            device_set(device := opened(opening.device)),
            opening.folder,
            on_phase=lambda phase: channel.tell(Doing(phase)),
            measurements=opening.measurements,
        ) as colocation,
    ):
        channel.occupancy = colocation.occupancy
        ready = Ready(device.identity, colocation.longest_s)
        channel.tell(ready)
        while True:
            match channel.order():
                case Order() as order:
                    channel.tell(measured(channel, colocation, order))
                case Prepare(job):
                    job.folder.mkdir(parents=True, exist_ok=True)
                    colocation.prepare(job)
                    channel.tell(ready)


def measured(channel: Channel, colocation: Colocation, order: Order) -> Answer:
    """Return what came of an order."""
    colocation.learn(order.measurements)
    if order.ramp_range is not None:
        colocation.ramp_range = order.ramp_range
    if (under := order.under) is not None:
        exercise = colocation.exercise.of(under.workload, under.requests)
        colocation.under(exercise, under.ramp_range)
    job, started_s = order.job, time.monotonic()
    job.folder.mkdir(parents=True, exist_ok=True)
    if order.is_raced:
        job = replace(job, is_worth=partial(channel.is_worth, order.attempt))
    outcome = colocation.measure(job)
    wall_s = time.monotonic() - started_s
    return Answer(order.attempt, outcome, wall_s, colocation.ramp_range)


@contextmanager
def lane_lock(device: str) -> Iterator[None]:
    """Hold the lane of a card; that of a driver which was killed is waited for.

    Raises:
        InUse: It does not end.
        KeyboardInterrupt: As `objectives.waiting`.
    """
    until_s = time.monotonic() + EARLIER_S
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(sole_use(f"lane-{device}"))
                break
            except InUse:
                if time.monotonic() > until_s:
                    raise
            waiting.sleep(waiting.LOOK_S)
        yield


def own_caches(device: str) -> None:
    """Give engines a cache for this card: two that compile the same write the same files."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for variable, folder in compile_caches().items():
        cache = Path(os.environ.get(variable) or caches / folder)
        os.environ[variable] = str(cache / f"lane-{device.replace('/', '_')}")
