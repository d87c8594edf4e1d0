"""What others keep busy is noticed before a launch, named, waited for, and told where it stays."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace

import pytest
from made.live_factories import LOW, Phases, Shelf, setting

from objectives.colocation import colocation
from objectives.colocation.colocation import Colocation
from objectives.devices import busy_others
from objectives.devices.busy_others import CpuTime, look
from objectives.devices.device import Sample
from objectives.devices.device_set import device_set
from objectives.diagnosis import busy
from objectives.evaluation import Job, Step
from objectives.servers import retries
from objectives.servers.retries import wait_until_quiet
from study.wording.phases import phase_in_words

SPIN = """import sys, time
while time.process_time() < float(sys.argv[1]):
    pass
"""


def spinning(seconds: float) -> subprocess.Popen[bytes]:
    """Start a process that computes for so long."""
    return subprocess.Popen([sys.executable, "-c", SPIN, str(seconds)])


class Playing(Shelf):
    """A GPU on which a game runs for so many samples."""

    identity = replace(Shelf.identity, cuda="13.0")

    def __init__(self, samples: float) -> None:
        self.samples = samples

    def sample(self) -> Sample:
        self.samples -= 1
        return Sample(time.monotonic(), 9000.0, 64.0 if self.samples > 0 else 0.0)


@pytest.fixture(autouse=True)
def _sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(busy, "CPU_PCT", 1000.0)  # the machine of a test is busy with others
    monkeypatch.setattr(busy_others, "LOOK_S", 0.05)
    monkeypatch.setattr(retries, "PATIENCE_S", 0.5)
    monkeypatch.delenv(retries.IMPATIENT_VARIABLE)


def test_a_game_that_ends_is_waited_for_and_nothing_is_said_of_it_later() -> None:
    phases = Phases()
    wait_until_quiet(device_set(Playing(13)), phases.append)
    (waiting,) = phases
    assert waiting.step is Step.WAITING
    assert "others keep the GPU 64 % busy, on it a game (process 2)" in phase_in_words(waiting)


def test_what_our_own_servers_did_a_moment_ago_is_nobody_elses() -> None:
    phases = Phases()
    wait_until_quiet(device_set(Playing(6)), phases.append)
    assert not phases


def test_a_game_that_stays_is_waited_for_a_while_and_told() -> None:
    phases, began_s = Phases(), time.monotonic()
    wait_until_quiet(device_set(Playing(1e9)), phases.append)
    assert time.monotonic() - began_s >= 0.5
    assert [phase.step for phase in phases] == [Step.WAITING, Step.BESIDE_OTHERS]
    words = phase_in_words(phases[1])
    assert words.startswith("others keep the GPU 64 % busy") and words.endswith("holds only there")


def test_a_quiet_machine_is_not_waited_for() -> None:
    phases = Phases()
    wait_until_quiet(device_set(Playing(0)), phases.append)
    assert not phases


def test_a_moment_of_a_gpu_is_no_busy_gpu() -> None:
    assert look(device_set(Playing(2))).is_quiet


def test_what_this_process_has_started_is_not_of_others_also_when_it_has_ended() -> None:
    before = CpuTime.now()
    with spinning(0.55):  # the kernel counts in hundredths
        pass
    after = CpuTime.now()
    assert after.own_s - before.own_s >= 0.5
    idle = replace(after, busy_s=before.busy_s + after.own_s - before.own_s)
    assert before.others_pct(idle) == pytest.approx(0.0, abs=1e-6)


def test_who_computes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(busy_others, "LOOK_S", 0.6)
    monkeypatch.setattr(busy_others, "NAMED_PCT", 0.1)
    monkeypatch.setattr(busy_others, "MOST_NAMED", 100)
    monkeypatch.setattr(busy_others, "own_s", lambda: {})  # all are others then
    with spinning(30.0) as spinner:
        try:
            load = look(device_set(Shelf()))
        finally:
            spinner.kill()
    assert load.cpu_pct > 0
    name = next(n for n in load.on_cpu if n.endswith(f"(process {spinner.pid})"))
    assert name.startswith("python") and " -c import sys, time" in name, load


def test_each_launch_tells_how_busy_others_were_and_the_next_one_looks_where_they_were(
    device: Shelf, tmp_path, monkeypatch: pytest.MonkeyPatch, one_generator: None
) -> None:
    looks = list[str]()
    monkeypatch.setattr(colocation, "wait_until_quiet", lambda *_: looks.append("look"))
    counted = list[int]()
    with Colocation(setting(), device_set(device), tmp_path) as running:
        for others_pct in (60.0, 0.0, 0.0):
            monkeypatch.setattr(CpuTime, "others_pct", lambda *_, pct=others_pct: pct)
            measured = running.measure(Job(LOW, 0, tmp_path)).measurement
            assert measured is not None and measured.others_cpu_pct == others_pct
            counted.append(len(looks))
    assert counted == [1, 2, 2]  # the first, and the one after others were busy
