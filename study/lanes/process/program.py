"""The program of a lane opens its cards, and measures there what the driver orders."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from objectives import waiting
from objectives.allocation import Allocation
from objectives.colocation.colocation import Colocation
from objectives.devices.device import Device
from objectives.devices.open_device import open_device
from objectives.engines.every import compile_caches
from objectives.errors import SetupError
from objectives.measurement import Measurement
from objectives.plain_data.card_sets import cards_of
from study.lanes.card_names import folder_name
from study.lanes.lock import lane_lock
from study.lanes.process.channel import Channel
from study.lanes.process.messages import (
    Answer,
    Doing,
    Measured,
    Opening,
    Order,
    Prepare,
    Ready,
    Refusal,
)


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
    """Open the cards and measure what is ordered.

    Raises:
        SetupError: A card cannot be opened, or its earlier lane does not end.
        KeyboardInterrupt: The driver has closed the channel.
    """
    if opening.cores:
        os.sched_setaffinity(0, opening.cores)
    own_caches(opening.card)
    with (
        lane_lock(opening.card),
        Colocation(
            opening.setting,
            devices := {name: opened(uuid) for name, uuid in opening.cards.items()},
            opening.folder,
            on_phase=lambda phase: channel.tell(Doing(phase)),
            measurements=as_here(opening.measurements, opening.card),
        ) as colocation,
    ):
        channel.occupancy = colocation.servers.occupancy
        identities = tuple(device.identity for device in devices.values())
        ready = Ready(identities, colocation.longest_s)
        channel.tell(ready)
        while True:
            match channel.order():
                case Order() as order:
                    channel.tell(measured(channel, colocation, order, opening.card))
                case Prepare(job):
                    job.folder.mkdir(parents=True, exist_ok=True)
                    colocation.prepare(job)
                    channel.tell(ready)


def measured(channel: Channel, colocation: Colocation, order: Order, card: str) -> Answer:
    """Return what came of an order, in the lane of a card or a set."""
    colocation.servers.learn(as_here(order.measurements, card))
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


def as_here(measurements: Measured, card: str) -> list[tuple[Allocation, Measurement]]:
    """Return what other lanes measured as if on the cards here: which is which tells the order."""
    uuids = cards_of(card)
    return [
        (a, replace(m, devices=dict(zip(uuids, m.devices.values(), strict=True))))
        if len(m.devices) == len(uuids)
        else (a, m)
        for a, m in measurements
    ]


def own_caches(card: str) -> None:
    """Give engines a cache for these cards: two that compile the same write the same files."""
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for variable, folder in compile_caches().items():
        cache = Path(os.environ.get(variable) or caches / folder)
        os.environ[variable] = str(cache / f"lane-{folder_name(card)}")
