"""This program is a lane whose figures are made up, with moods: `fake_lane.main()`.

Its moods are in `moods.json` beside the folder of lanes: for each card one for each order, the last
of which stays; a number is how many seconds it takes, and [CARD, N] waits until the lane of that
card has begun N jobs. By `speeds.json` there a card takes so many times as long, with 1 % of noise.
What it does it writes into `orders.log` in its folder: the moment, begun or ended, the allocation,
the seed and the first rate of ramps that it was told.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from made.made_up import TOTAL_MIB, heard_cell, oom, slower

from objectives import waiting
from objectives.capacity.ramp_range import RampRange
from objectives.devices.device import Identity, Occupant, Sample
from objectives.diagnosis.diagnosis import Diagnosis
from objectives.errors import SetupError
from objectives.evaluation import Failure, Outcome, Phase, Step
from study.lanes.process.channel import Channel
from study.lanes.process.messages import Answer, Doing, Opening, Order, Prepare, Ready, Refusal

PROGRAM = "from fake_cards import fake_lane; fake_lane.main()"
CARDS = ("GPU-a", "GPU-b")
FOUR = (*CARDS, "GPU-c", "GPU-d")
WORK_S = 0.05


class NumberedCard:
    """A card of numbers has a UUID of its own, and every server holds 100 MiB of it."""

    compute: float | None = None
    server_env: Mapping[str, str] = MappingProxyType({})

    def __init__(self, uuid: str, product: str = "Made-up card") -> None:
        self.identity = Identity(product, uuid, TOTAL_MIB, "580.1", "13.0")
        self.free_mib = 11_000.0

    def sample(self) -> Sample:
        return Sample(time.monotonic(), self.free_mib)

    def occupants(self) -> list[Occupant]:
        return []

    def held_mib(self, pid: int) -> float | None:
        return 100.0


def opened(name: str) -> NumberedCard:
    """Open the card of an index, a UUID or `cuda`."""
    uuids = dict(zip("0123", FOUR, strict=True)) | {uuid: uuid for uuid in (*FOUR, "GPU-e")}
    uuids |= {"cuda": CARDS[0], "GPU-other": "GPU-other"}
    if name not in uuids:
        raise SetupError(f"no NVIDIA GPU {name!r} on this machine")
    return NumberedCard(uuids[name], "Another" if name == "GPU-other" else "Made-up card")


def measure() -> None:
    """Be a lane that really measures, on such a card."""
    import pytest
    from punctual import be_punctual

    from study.lanes.process import program

    be_punctual(pytest.MonkeyPatch())
    program.main(opened)


def main() -> None:
    waiting.listen()
    channel = Channel(sys.stdin.fileno(), int(sys.argv.pop()))
    try:
        work(channel)
    except (EOFError, KeyboardInterrupt):
        raise SystemExit(waiting.STOPPED) from None


def work(channel: Channel) -> None:
    opening = channel.open()
    opening.folder.mkdir(parents=True, exist_ok=True)
    log, moods = opening.folder / "orders.log", opening.folder.parents[1] / "moods.json"
    mine = json.loads(moods.read_text()).get(opening.card, []) if moods.exists() else []
    if mine == "refuses":
        channel.tell(Refusal("its card is not well; give it a rest"))
        return
    product = "Another card" if mine == "is another" else "Made-up card"
    cards = opening.cards.values()
    ready = Ready(tuple(Identity(product, c, TOTAL_MIB, "580.1", "13.0") for c in cards), 2.0)
    channel.tell(ready)
    while True:
        order = channel.order()
        if isinstance(order, Prepare):
            write(log, f"prepared {order.job.allocation}")
            channel.tell(ready)
            continue
        job, begun = order.job, log.read_text().count(" begun ") if log.exists() else 0
        mood = mine[min(begun, len(mine) - 1)] if mine else "well"
        first_per_s = order.ramp_range and order.ramp_range.first_per_s
        under = order.under and (order.under.workload.seed, order.under.ramp_range)
        how = f"seed={job.seed} fresh={job.is_fresh} range={first_per_s} under={under}"
        write(log, f"begun {job.allocation} {how}")
        channel.tell(Doing(Phase(Step.LOADING)))
        job.folder.mkdir(parents=True, exist_ok=True)
        (job.folder / "llm.log").write_text("it came up")
        outcome, wall_s = outcome_in(mood, channel, order, opening)
        write(log, f"ended {job.allocation}")
        ramp_range = order.ramp_range or RampRange(1.0 + int(opening.card[-1], 36) / 100, 25.0)
        if mood == "answers twice":
            channel.tell(Answer(order.attempt - 1, outcome, wall_s, ramp_range))
        channel.tell(Answer(order.attempt, outcome, wall_s, ramp_range))


def wait_for(log: Path, jobs: int) -> None:
    """Wait until another lane has begun so many jobs."""
    until = time.monotonic() + 60
    while not log.exists() or log.read_text().count(" begun ") < jobs:
        if time.monotonic() > until:
            raise TimeoutError(f"{log} has not {jobs} jobs")
        waiting.sleep(0.02)


def outcome_in(
    mood: object, channel: Channel, order: Order, opening: Opening
) -> tuple[Outcome, float]:
    allocation, began = order.job.allocation, time.monotonic()
    card, root = opening.card, opening.folder.parents[1]
    match mood:
        case "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "crashes":
            raise RuntimeError("nobody foresaw this")
        case "is stopped":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "babbles":
            channel._writing and os.write(channel._writing, b"no message\n")
        case "hangs":
            waiting.sleep(3600)
        case "needs a lot":
            return Outcome(failure=Failure(oom(), is_ruled_out=True)), 0.1
        case "cannot":
            return Outcome(setup_error="vLLM knows no --flag; leave it out"), 0.1
        case float() | int():
            waiting.sleep(mood)
        case [str() as other, int() as jobs]:
            from study.lanes.card_names import folder_name  # which few lanes need

            lane = root / "lanes" / folder_name(other)
            wait_for(lane / "orders.log", jobs)
    waiting.sleep(WORK_S)
    measured = heard_cell(allocation.share, allocation.speech)
    speeds = root / "speeds.json"
    if speeds.exists() and not isinstance(measured, Diagnosis):
        noise = np.random.default_rng([order.job.seed, *card.encode()]).lognormal(0.0, 0.01)
        measured = slower(measured, json.loads(speeds.read_text())[card] * noise)
    if isinstance(measured, Diagnosis):
        return Outcome(failure=Failure(measured, is_ruled_out=True)), 0.1
    if order.is_raced and not channel.is_worth(order.attempt, measured):
        return Outcome(given_up=measured.flat()), time.monotonic() - began
    devices = dict.fromkeys(card.split(), measured.device)
    measured = replace(measured, devices=devices, lag_exceeded=mood == "is late")
    return Outcome(measured), time.monotonic() - began


def write(log: Path, text: str) -> None:
    with log.open("a") as file:
        file.write(f"{time.monotonic():.3f} {text}\n")
