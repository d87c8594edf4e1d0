"""A number that the kernel gave to another process since is never signalled."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from study.deploy.config.deployment import Deployment
from study.deploy.state import dead_man_timer, pending
from study.deploy.state.dead_man_timer import DeadMan
from study.deploy.state.process_id import ProcessId, process_id

SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")


@pytest.fixture
def innocent() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(SLEEP) as process:
        yield process
        process.kill()


@pytest.mark.parametrize(
    "changed", [{"since_s": 1.0}, {"boot": "an earlier one"}, {"command": ("python", "x")}]
)
def test_a_process_of_another_start_boot_or_command_is_left_alone(
    innocent: subprocess.Popen[bytes], changed: dict[str, object], tmp_path: Path
) -> None:
    known = process_id(innocent.pid)
    assert known.is_running
    other: ProcessId = replace(known, **changed)  # type: ignore[arg-type]
    assert not other.is_running
    dead_man_timer.disarm(DeadMan(process=other))
    change = pending.Pending(
        "apply", 0, 1, None, None, 0.0, other.pid, other.since_s, other.boot, other.command
    )
    assert not change.is_alive
    with pending.locked(tmp_path, take_over=change):
        pass
    other.send(signal.SIGKILL)
    assert innocent.poll() is None


def test_the_very_process_is_ended(innocent: subprocess.Popen[bytes]) -> None:
    known = process_id(innocent.pid)
    dead_man_timer.disarm(DeadMan(process=known))
    assert innocent.wait(10) == -signal.SIGTERM
    known.send(signal.SIGTERM)  # and once it is gone, nobody


def test_a_process_is_known_again_after_a_step_of_the_clock(
    innocent: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a timer that fires would take an apply that hangs for ended, and leave it its lock."""
    known = process_id(innocent.pid)
    create_time = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda p: create_time(p) + 3600.0)
    assert known.is_running


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_a_timer_that_had_no_words_when_it_was_armed_is_disarmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel tells the words of a process a moment after it has begun."""
    monkeypatch.setattr(dead_man_timer, "BOOTED", tmp_path / "no systemd")
    (path := tmp_path / "deployment.yaml").touch()
    deployment = Deployment("voice", {}, state=str(tmp_path), path=path)
    deployment.folder.mkdir()
    cmdline, looks = psutil.Process.cmdline, Counter[str]()

    def late(process: psutil.Process) -> list[str]:
        looks["words"] += 1
        return [] if looks["words"] % 3 else cmdline(process)

    monkeypatch.setattr(psutil.Process, "cmdline", late)
    timer = dead_man_timer.arm(deployment, 600.0)
    assert timer.process is not None
    process = psutil.Process(timer.process.pid)
    try:
        dead_man_timer.disarm(timer)
        assert process.wait(10) == -signal.SIGTERM
    finally:
        if process.is_running():
            process.kill()
