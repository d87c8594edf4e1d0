"""A foreign tenant that grows or comes ends a trial in any phase; the trial is retried."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from made.live_factories import LOW, Phases, setting

from objectives.colocation.colocation import Colocation
from objectives.devices.device import Occupant
from objectives.devices.device_set import device_set
from objectives.devices.open_device import open_device
from objectives.evaluation import Job, Step
from objectives.servers import blame, foreign_tenants
from objectives.servers.foreign_tenants import Neighbours, intrusion

UNMET = {"llm_ttft_p95_ms": 0.01}  # so that a ramp is broken at once: fake servers never break
# a process that lives and is not below this one
GAME = Occupant(os.getppid(), "a game", 4000.0, "game.service")


@pytest.fixture(autouse=True)
def _hurry(monkeypatch, one_generator):
    monkeypatch.setattr(foreign_tenants, "LOOK_S", 0.2)
    monkeypatch.setattr(foreign_tenants, "_uses_gpu", lambda pid: True)
    monkeypatch.setattr(blame, "DYING_S", 0.3)
    monkeypatch.setattr(blame, "PATIENCE_S", 0.5)


@pytest.fixture
def card(device, monkeypatch):
    """Return a GPU whose occupants a test sets; free memory stays, so that only processes tell."""
    device.identity = replace(device.identity, cuda="13.0")
    device.here = [GAME]
    monkeypatch.setattr(device, "occupants", lambda: list(device.here), raising=False)
    monkeypatch.setattr(device, "held_mib", lambda pid: 100.0, raising=False)
    return device


class When(Phases):
    """Phases that do something once, when a step begins."""

    def __init__(self, step, act):
        super().__init__()
        self.step, self.act, self.done_at = step, act, None

    def append(self, phase):
        super().append(phase)
        if phase.step is self.step and phase.service != "stt" and self.done_at is None:
            self.done_at = time.monotonic()
            self.act()


@pytest.mark.parametrize("step", [Step.STARTING, Step.ALONE, Step.LOADING, Step.RAMP])
def test_a_new_process_ends_the_trial_in_every_phase_and_the_trial_is_retried(card, tmp_path, step):
    more = {"window_s": 1, "llm_per_s": 8, "stt_per_s": 8}
    if step is Step.RAMP:
        more |= {"ramp_s": 2, "ramp_doubling_s": 0.25}
    intruder = Occupant(1, "another study", 900.0, "other.service")
    phases = When(step, lambda: card.here.append(intruder))
    with Colocation(
        setting(limits=UNMET, **more), device_set(card), tmp_path, on_phase=phases.append
    ) as colocation:
        measured = colocation.measure(Job(LOW, 0, tmp_path / "0")).measurement
    again = phases.retries
    assert (
        len(again) == 1 and "disturbed: process 1 of other.service (another study) came" in again[0]
    ), phases
    assert (
        measured.failure_rate == 0.0
    )  # who is there when a trial begins is a tenant like the others


def test_who_grows_beyond_the_reserve_again_and_again_fails_the_trial_and_not_the_candidate(
    card, tmp_path
):
    def grow():
        card.here[0] = replace(card.here[0], mib=card.here[0].mib + 600.0)

    phases = Phases()

    def on_phase(phase):
        phases.append(phase)
        if phase.step is Step.LOADING:
            grow()

    with Colocation(
        setting(window_s=3), device_set(card), tmp_path, on_phase=on_phase
    ) as colocation:
        outcome = colocation.measure(Job(LOW, 0, tmp_path / "0"))
    assert not outcome.failure.is_ruled_out
    diagnosis = outcome.failure.diagnosis
    assert (diagnosis.failure_class, diagnosis.victim) == ("foreign_tenant", "tenant:game.service")
    assert "grew with others by 600 MiB" in diagnosis.evidence
    assert "reserve 512" in diagnosis.evidence
    assert len(phases.retries) == 2


def test_growth_within_the_reserve_is_a_neighbours_right(card, tmp_path):
    phases = When(Step.LOADING, lambda: card.here.__setitem__(0, replace(GAME, mib=4400.0)))
    with Colocation(setting(), device_set(card), tmp_path, on_phase=phases.append) as colocation:
        outcome = colocation.measure(Job(LOW, 0, tmp_path / "0"))
    assert outcome.measurement is not None
    assert not phases.retries


def test_our_own_servers_are_no_intruders(card, tmp_path):
    def show():
        servers = psutil.Process().children(recursive=True)
        assert len(servers) >= 4  # two supervisors and what they started
        card.here += [Occupant(p.pid, "ours", 5000.0, None) for p in servers]

    phases = When(Step.LOADING, show)
    with Colocation(setting(), device_set(card), tmp_path, on_phase=phases.append) as colocation:
        outcome = colocation.measure(Job(LOW, 0, tmp_path / "0"))
    assert outcome.measurement is not None
    assert not phases.retries


def test_a_window_of_the_desktop_may_come_and_a_program_may_not():
    window, program = Occupant(8, "a terminal", 20.0, None), Occupant(9, "a program", 300.0, None)
    assert intrusion({}, [window], 512.0, is_gpu=True) is None
    first = intrusion({}, [window, program], 512.0, is_gpu=True)
    assert first is not None and first.occupant is program


def test_a_process_whose_memory_is_not_told_is_seen_when_it_comes():
    first = intrusion({}, [Occupant(9, "a program", None, None)], 512.0, is_gpu=True)
    assert first is not None and first.is_new
    assert intrusion({9: None}, [Occupant(9, "a program", None, None)], 512.0, is_gpu=True) is None


def test_on_the_host_a_new_process_counts_by_what_it_holds():
    assert intrusion({}, [Occupant(9, "a test", 500.0, None)], 512.0, is_gpu=False) is None
    first = intrusion(
        {},
        [Occupant(9, "a test", 400.0, None), Occupant(8, "another", 300.0, None)],
        512.0,
        is_gpu=False,
    )
    assert first is not None
    assert (first.grown_mib, first.occupant.pid, first.is_new) == (700.0, 9, True)


def test_numbers_of_another_container_say_nothing(card, monkeypatch):
    monkeypatch.undo()
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    card.here = []
    watch = Neighbours(card, 512.0)
    try:
        card.here = [
            Occupant(2**22 + 1, "?", 900.0, None),
            Occupant(sleeper.pid, "ours", 900.0, None),
        ]
        watch.look()
        assert watch.intrusion is None
    finally:
        sleeper.kill()
        sleeper.wait()


def test_a_container_of_ours_is_known_by_the_id_that_its_supervisor_has(tmp_path):
    group = Path("/proc/self/cgroup").read_text().strip().splitlines()[-1].rpartition("/")[2]
    file = tmp_path / "llm.cid"
    file.write_text("abc123\n")
    words = [sys.executable, "-c", "import time; time.sleep(60)", str(file)]
    with subprocess.Popen(words) as supervisor:
        assert foreign_tenants.own_containers() == ["abc123"]
        supervisor.kill()
    assert not foreign_tenants.in_container(os.getpid(), ["abc123"])
    assert foreign_tenants.in_container(os.getpid(), ["abc123", group or "/"])


FORKS = """
import os, sys, time
kept = bytearray(300 << 20)
for number in range(6):
    if os.fork() == 0:
        break
else:
    print(flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(("reserve_mib", "is_seen"), [(1200.0, False), (150.0, True)])
def test_what_forks_share_is_counted_once(monkeypatch, reserve_mib, is_seen):
    monkeypatch.setattr(foreign_tenants, "_is_ours", lambda pid: False)
    monkeypatch.setattr(psutil, "process_iter", lambda *_: mine)
    mine: list[psutil.Process] = []
    neighbours = Neighbours(open_device("cpu"), reserve_mib)
    with subprocess.Popen([sys.executable, "-c", FORKS], stdout=subprocess.PIPE) as root:
        assert root.stdout and root.stdout.readline()
        mine += [psutil.Process(root.pid), *psutil.Process(root.pid).children()]
        for process in mine:
            process.info = process.as_dict(["pid", "cmdline", "name", "memory_info"])
        try:
            assert sum(p.info["memory_info"].rss for p in mine) > 2000 << 20
            neighbours.look()
        finally:
            for process in mine:
                process.kill()
    assert (neighbours.intrusion is not None) == is_seen
    if neighbours.intrusion is not None:
        assert 280 < neighbours.intrusion.grown_mib < 500
