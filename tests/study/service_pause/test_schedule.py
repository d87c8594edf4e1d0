"""A study runs as a unit on a real systemd: verified, under quotas, and ended from outside."""

import sys

import pytest
from fake_servers.fakes import FAKE
from rigs.systemd_rig import REPOSITORY, SPEC, UNITS, rig, wait_until

MAKE = str(REPOSITORY / "scripts/schedule_study.py")
STUDY = "gpu-allocation-study.service"


@pytest.fixture(scope="module")
def machine():
    with rig() as booted:
        server = f"{sys.executable} -IS {FAKE} --port {{port}}"
        # it must not be over before its time is
        endless = SPEC.replace("window_s: 1\n", "window_s: 240\n")
        booted.write(
            "/root/my spec%.yaml", endless.format(server=server) + "budget: {wallclock_sec: 1000}\n"
        )
        judge = "[Service]\nExecStart=/bin/sleep 1000\nCPUQuota=1000000%\nMemoryMax=90T\n"
        booted.write(f"{UNITS}/judge.service", judge)
        booted.systemctl("daemon-reload")
        booted.systemctl("start", "judge.service")
        words = ("--lend-from", "judge.service", "--max-outage", "30m", "--out", UNITS)
        process = booted.begin(
            MAKE, "/root/my spec%.yaml", "--on-calendar", "Mon..Fri 03:00", *words
        )
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0 and output.split() == [
            f"{UNITS}/{STUDY}",
            f"{UNITS}/gpu-allocation-study.timer",
        ]
        booted.systemctl("daemon-reload")
        yield booted


def test_systemd_accepts_both_files(machine):
    assert (
        machine.run(
            "systemd-analyze", "verify", f"{UNITS}/{STUDY}", f"{UNITS}/gpu-allocation-study.timer"
        )
        == ""
    )
    machine.systemctl("enable", "--now", "gpu-allocation-study.timer")
    assert "gpu-allocation-study.timer" in machine.systemctl("list-timers", "--all")
    machine.systemctl("disable", "--now", "gpu-allocation-study.timer")


def test_quotas_are_above_the_budget_and_not_below_the_deployed_units(machine):
    # 30 min of outage, which is more than the budget, + 15
    assert machine.show(STUDY, "RuntimeMaxUSec") == "45min"
    assert machine.show(STUDY, "CPUQuotaPerSecUSec") == machine.show(
        "judge.service", "CPUQuotaPerSecUSec"
    )
    assert (
        int(machine.show(STUDY, "MemoryMax"))
        >= int(machine.show("judge.service", "MemoryMax"))
        == 90 * 2**40
    )


def test_it_measures_as_a_unit_and_when_its_time_is_over_all_is_given_back(machine):
    ours = f"[Service]\nWorkingDirectory=/root\nEnvironment=PYTHONPATH={REPOSITORY}\n"
    machine.write(f"{UNITS}/{STUDY}.d/ours.conf", ours)
    machine.systemctl("daemon-reload")
    machine.systemctl("start", STUDY)
    wait_until(lambda: machine.run("pgrep", "-f", "fakes.py", check=False), 60)
    assert machine.show("judge.service", "ActiveState") == "inactive"
    assert machine.show(STUDY, "ControlGroup") in machine.run(
        "cat", f"/proc/{server(machine)}/cgroup"
    )
    # its time is over once it is known to measure, however long that took
    machine.write(f"{UNITS}/{STUDY}.d/short.conf", "[Service]\nRuntimeMaxSec=1\n")
    machine.systemctl("daemon-reload")
    wait_until(lambda: machine.show(STUDY, "ActiveState") in ("inactive", "failed"), 120)
    assert machine.show(STUDY, "Result") == "timeout"
    assert machine.run("pgrep", "-f", "fakes.py", check=False) == ""
    wait_until(lambda: machine.show("judge.service", "ActiveState") == "active")


def server(machine):
    return machine.run("pgrep", "-f", "fakes.py").split()[0]
