"""This module gives a machine cards of numbers, so that commands measure in lanes with no GPU.

`cards_here.py SCRIPT ARGUMENT...` runs a script on such a machine; lanes and servers are real.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest
from fake_cards.fake_lane import CARDS, opened
from made.live_factories import live
from processes.commands import ROOT, main_of

from study.bench import bench
from study.lanes import measuring
from study.lanes.cards import named
from study.lanes.process.lane_process import Here

PROGRAM = "from fake_cards import fake_lane; fake_lane.measure()"
HERE = Path(__file__)


def with_cards(patch: pytest.MonkeyPatch, cards: Sequence[str] = CARDS) -> None:
    """Let this process see the cards."""
    patch.setattr(bench, "open_device", lambda name, **_: opened(name))
    patch.setattr(named, "every_gpu", lambda: list(cards))
    patch.setattr(measuring, "Here", partial(Here, PROGRAM))


def live_on_cards(folder: Path) -> Path:
    """Write a live spec of fake servers for a GPU."""
    path = live(folder)
    path.write_text(path.read_text().replace("device: cpu", "device: cuda"))
    return path


def spec_of_two(folder: Path, devices: str = "{gpu0: GPU-a, gpu1: GPU-b}") -> Path:
    """Write a live spec of fake servers whose speech is on a second GPU."""
    path = live_on_cards(folder)
    text = path.read_text().replace("device: cuda", f"devices: {devices}")
    path.write_text(text.replace("\n  stt:\n", "\n  stt:\n    place: gpu1\n"))
    return path


def interpreted(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """Run a script on such a machine in a folder; it, its lanes and their loads are no forks."""
    path = os.pathsep.join((str(ROOT), str(HERE.parents[1])))
    return subprocess.run(
        [sys.executable, str(HERE), *map(str, words)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def alive(folder: Path) -> list[str]:
    """Return the commands that run in a folder."""
    commands = list[str]()
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                commands.append(" ".join(process.cmdline())[:200])
    return commands


if __name__ == "__main__":
    script = sys.argv[1]
    sys.argv = sys.argv[1:]
    with_cards(pytest.MonkeyPatch())
    importlib.import_module("study.cli.startup")
    main_of(script)()
