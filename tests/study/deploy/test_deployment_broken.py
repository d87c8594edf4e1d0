"""A deployment on real systemd survives a umask, a damaged record, an order no boot can keep."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from production_rig import LLM, STT, Machine, production

OLD, NEW = ("0.5", "base"), ("0.55", "tiny")
PENDING = "/etc/gpu-allocation/voice/pending.json"
DEAD_MAN = "gpu-allocation-voice-dead-man.service"
TRIAL = "zzz-gpu-allocation-2-trial.conf"


@pytest.fixture(scope="module")
def booted() -> Iterator[Machine]:
    with production() as rigged:
        rigged.wait(10, lambda: rigged.running() == OLD)
        yield rigged


@pytest.fixture
def machine(booted: Machine) -> Iterator[Machine]:
    """Production on its own configuration, with nothing on trial."""
    booted.promotion()
    yield booted
    booted.promote("rollback")
    assert booted.running() == OLD


def fire(machine: Machine) -> None:
    """Do what the timer does when its time has come."""
    machine.systemctl("start", DEAD_MAN, check=False)
    machine.wait(
        20,
        lambda: (
            machine.systemctl("is-active", DEAD_MAN, check=False) not in ("active", "activating")
        ),
    )


def test_the_timer_rolls_back_whatever_the_umask_of_the_apply_was(machine: Machine) -> None:
    before = os.umask(0)
    try:
        machine.kill_when("step: soak", apply=["/etc/promotions/p.yaml"])
    finally:
        os.umask(before)
    assert machine.running() == NEW
    fire(machine)
    assert machine.running() == OLD
    assert machine.drop_ins() == []


def damaged(machine: Machine) -> None:
    machine.kill_when("step: soak", apply=["/etc/promotions/p.yaml"])
    machine.write(PENDING, machine.read(PENDING)[:40])
    assert machine.running() == NEW


def test_a_rollback_ends_a_trial_whose_record_was_damaged(machine: Machine) -> None:
    damaged(machine)
    code, output = machine.promote("status")
    assert code == 2 and "run `scripts/promote.py rollback`" in output, output
    code, output = machine.promote("rollback")
    assert code == 0 and "rolled back: production runs version 0" in output, output
    assert machine.running() == OLD
    assert "dead-man" not in machine.systemctl("list-timers", "--all")
    assert machine.promote("status")[0] == 0


def test_the_timer_ends_a_trial_whose_record_was_damaged(machine: Machine) -> None:
    damaged(machine)
    fire(machine)
    assert machine.running() == OLD
    assert machine.drop_ins() == []


def test_an_order_that_a_boot_could_not_keep_is_refused(machine: Machine) -> None:
    """A boot ends a cycle of After= by leaving one unit out, and says so only in its log."""
    order = f"/etc/systemd/system/{STT}.d/order.conf"
    middle = "/etc/systemd/system/middle.service"
    machine.write(middle, f"[Unit]\nAfter={LLM}\n[Service]\nExecStart=/bin/true\n")
    for first in (LLM, "middle.service"):
        machine.write(order, f"[Unit]\nAfter={first}\n")
        machine.systemctl("daemon-reload")
        for verb in ("plan", "apply"):
            code, output = machine.promote(verb, "/etc/promotions/p.yaml")
            assert (
                code == 2
                and f"{STT}: it is ordered After={LLM}" in output
                and "[llm, stt]" in output
            ), output
    machine.deployment(start_order="[llm, stt]")
    code, output = machine.promote("apply", "/etc/promotions/p.yaml")
    assert code == 0 and "committed" in output, output
    machine.systemctl("stop", LLM, STT)
    machine.systemctl("start", LLM, STT)  # one transaction, as at boot
    machine.wait(20, lambda: machine.running() == NEW)
    (machine.root / order.lstrip("/")).unlink()
    machine.systemctl("daemon-reload")
    machine.deployment()


def test_a_timer_that_is_killed_while_it_rolls_back_begins_again(machine: Machine) -> None:
    machine.kill_when("step: soak", apply=["/etc/promotions/p.yaml"])
    machine.systemctl("start", "--no-block", DEAD_MAN)
    machine.wait(20, lambda: TRIAL not in machine.drop_ins())  # the trial is off, and still runs
    machine.systemctl("kill", "--signal=KILL", DEAD_MAN, check=False)
    machine.wait(30, lambda: not (machine.root / PENDING.lstrip("/")).exists())
    assert machine.running() == OLD
