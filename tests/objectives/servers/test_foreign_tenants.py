"""Tenants win: who grows or comes ends a trial in whatever phase it is, is named, and the trial is retried."""

import os
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest
from live_factories import LOW, Phases, setting

from objectives.colocation import Colocation
from objectives.devices.device import Occupant
from objectives.errors import Disturbed
from objectives.servers import blame, foreign_tenants
from objectives.servers.foreign_tenants import Neighbours, intrusion

GAME = Occupant(
    os.getppid(), "a game", 4000.0, "game.service"
)  # a process that lives and is not below this one


@pytest.fixture(autouse=True)
def _hurry(monkeypatch):
    monkeypatch.setattr(foreign_tenants, "LOOK_S", 0.05)
    monkeypatch.setattr(foreign_tenants, "_uses_gpu", lambda pid: True)
    monkeypatch.setattr(blame, "DYING_S", 0.3)
    monkeypatch.setattr(blame, "PATIENCE_S", 0.5)


@pytest.fixture
def card(device, monkeypatch):
    """A GPU whose occupants a test sets; what is free stays, so that only processes tell."""
    device.identity = replace(device.identity, cuda="13.0")
    device.here = [GAME]
    monkeypatch.setattr(device, "occupants", lambda: list(device.here), raising=False)
    monkeypatch.setattr(device, "held_mib", lambda pid: 100.0, raising=False)
    return device


class When(Phases):
    """Does something once, when a phase begins."""

    def __init__(self, phase, act):
        super().__init__()
        self.phase, self.act, self.done_at = phase, act, None

    def append(self, text):
        super().append(text)
        if text.startswith(self.phase) and self.done_at is None:
            self.done_at = time.monotonic()
            self.act()


@pytest.mark.parametrize("phase", ["starting LLM", "each service alone", "loading both", "ladder"])
def test_a_new_process_ends_the_trial_in_every_phase_and_the_trial_is_retried(
    card, tmp_path, phase
):
    more = {"ladder_s": 2, "ladder_max_sessions": 1, "window_s": 2, "llm_per_s": 4, "stt_per_s": 4}
    intruder = Occupant(1, "another study", 900.0, "other.service")
    phases = When(phase, lambda: card.here.append(intruder))
    with Colocation(setting(**more), card, tmp_path) as colocation:
        measured = colocation.measure(LOW, phases.run(tmp_path / "0"))
    again = [p for p in phases if p.startswith("once more")]
    assert (
        len(again) == 1
        and "foreign_tenant: process 1 of other.service (another study) came" in again[0]
    ), phases
    assert (
        measured.failure_rate == 0.0
    )  # who is there when a trial begins is a tenant like the others


def test_who_grows_beyond_the_reserve_again_and_again_fails_the_trial_and_not_the_candidate(
    card, tmp_path
):
    def grow():
        card.here[0] = replace(card.here[0], mib=card.here[0].mib + 600.0)

    phases = When("loading both", grow)
    phases.append = lambda text: (
        list.append(phases, text),
        grow() if text == "loading both" else None,
    )
    with (
        Colocation(setting(window_s=3), card, tmp_path) as colocation,
        pytest.raises(Disturbed) as caught,
    ):
        colocation.measure(LOW, phases.run(tmp_path / "0"))
    found = caught.value.diagnosis
    assert (found.failure_class, found.victim) == ("foreign_tenant", "tenant:game.service")
    assert "grew with others by 600 MiB" in found.evidence and "reserve 512" in found.evidence
    assert sum("once more" in p for p in phases) == 2


def test_growth_within_the_reserve_is_a_neighbours_right(card, tmp_path):
    phases = When("loading both", lambda: card.here.__setitem__(0, replace(GAME, mib=4400.0)))
    with Colocation(setting(), card, tmp_path) as colocation:
        colocation.measure(LOW, phases.run(tmp_path / "0"))
    assert not any("once more" in p for p in phases)


def test_our_own_servers_are_no_intruders(card, tmp_path):
    def show():
        servers = psutil.Process().children(recursive=True)
        assert len(servers) >= 4  # two supervisors and what they started
        card.here += [Occupant(p.pid, "ours", 5000.0, None) for p in servers]

    phases = When("loading both", show)
    with Colocation(setting(), card, tmp_path) as colocation:
        colocation.measure(LOW, phases.run(tmp_path / "0"))
    assert not any("once more" in p for p in phases)


def test_a_window_of_the_desktop_may_come_and_a_program_may_not():
    window, program = Occupant(8, "a terminal", 20.0, None), Occupant(9, "a program", 300.0, None)
    assert intrusion({}, [window], 512.0, is_gpu=True) is None
    found = intrusion({}, [window, program], 512.0, is_gpu=True)
    assert found is not None and found.occupant is program


def test_a_process_whose_memory_is_not_told_is_seen_when_it_comes():
    found = intrusion({}, [Occupant(9, "a program", None, None)], 512.0, is_gpu=True)
    assert found is not None and found.is_new
    assert intrusion({9: None}, [Occupant(9, "a program", None, None)], 512.0, is_gpu=True) is None


def test_on_the_host_a_new_process_counts_by_what_it_holds():
    assert intrusion({}, [Occupant(9, "a test", 500.0, None)], 512.0, is_gpu=False) is None
    found = intrusion(
        {},
        [Occupant(9, "a test", 400.0, None), Occupant(8, "another", 300.0, None)],
        512.0,
        is_gpu=False,
    )
    assert found is not None and (found.grown_mib, found.occupant.pid, found.is_new) == (
        700.0,
        9,
        True,
    )


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
        assert watch.seen is None
    finally:
        sleeper.kill()
        sleeper.wait()
