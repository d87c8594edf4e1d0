"""Units on a real systemd get their GPU back: at the end, on Ctrl-C, after SIGKILL or a boot."""

import sys
from pathlib import Path

import pytest
from fake_servers.fakes import FAKE
from rigs.systemd_rig import REPOSITORY, SPEC, UNITS, rig, wait_until

from objectives.errors import SetupError
from study.service_pause import pause

UNITS_HERE = JUDGE, WHISPER, OFF = "judge.service", "whisper.service", "old.service"
ALL = ",".join(UNITS_HERE)
UNIT = """
[Service]
ExecStart=/bin/sleep 1000
ExecStop=/bin/sh -c 'echo %n >> /var/log/stopped-properly'
{extra}
[Install]
WantedBy=multi-user.target
"""
BORROW = """
from objectives import waiting
import os, subprocess, sys, time
from objectives.errors import StudyError
from study.service_pause.pause import lent
units, outage_s = sys.argv[1].split(","), float(sys.argv[2]) or None
try:
    with lent(units, print, max_outage_s=outage_s):
        if sys.argv[4:]:
            subprocess.Popen(sys.argv[4:], start_new_session=True)
        print("borrowed by", os.getpid(), flush=True)
        waiting.sleep(float(sys.argv[3]))
except StudyError as error:
    print(error)
    sys.exit(error.exit_code)
print("ended", flush=True)
"""
SHOW_ETC = "ExecStop=/bin/ls -R /etc/systemd/system\nStandardOutput=file:/var/log/seen"
EXITING = f"from study.cli.exit_codes import exiting\nwith exiting():\n    exec({BORROW!r})\n"


@pytest.fixture(scope="module")
def booted():
    with rig() as machine:
        yield machine


@pytest.fixture
def machine(booted, monkeypatch):
    """Judge runs and is enabled, Whisper was started by hand, and one is enabled and off.

    So each test leaves them, or the next one puts it right. A guard that was killed soon comes
    back, and has little patience with what a study leaves running.
    """
    monkeypatch.setattr(pause, "RESTART_S", 0.2)
    monkeypatch.setattr(pause, "SERVERS_END_S", 1.0)
    files, plain = (
        [booted.root / f"{UNITS[1:]}/{unit}" for unit in UNITS_HERE],
        UNIT.format(extra=""),
    )
    if all(f.exists() and f.read_text() == plain for f in files) and states(booted) == BEFORE:
        return booted
    booted.systemctl("stop", *UNITS_HERE, check=False)
    booted.systemctl("disable", *UNITS_HERE, check=False)
    for file in files:
        file.write_text(plain)
    booted.systemctl("daemon-reload")
    booted.systemctl("enable", JUDGE, OFF)
    booted.systemctl("start", JUDGE)
    booted.systemctl("start", WHISPER)
    return booted


def borrow(machine, *more, units=ALL, outage_s=0.0, for_s=60.0, script=BORROW, **env):
    """Start a process inside that borrows; return it and its number inside."""
    process = machine.fork(script, units, outage_s, for_s, *more, **env)
    output = ""
    for line in process.stdout:
        output += line
        if line.startswith("borrowed by"):
            return process, line.split()[-1]
    raise AssertionError(output)


def states(machine):
    active = machine.systemctl("show", *UNITS_HERE, "--property=ActiveState", "--value").split()
    enabled = machine.systemctl("is-enabled", *UNITS_HERE, check=False).split()
    return list(zip(active, enabled, strict=True))


BEFORE = [("active", "enabled"), ("active", "disabled"), ("inactive", "enabled")]
LENT = [("inactive", "masked-runtime")] * 3


def nothing_left(machine):
    etc, run = machine.root / "etc/systemd/system", machine.root / "run/systemd/system.control"
    units = machine.systemctl("list-units", "--all", "--plain", "--no-legend", "gpu-allocation-*")
    return not [*etc.rglob("gpu-allocation-*")] and not [*run.glob("*.service")] and not units


def test_all_is_as_before_at_the_end(machine):
    process, _ = borrow(machine, for_s=0.5)
    output, _ = process.communicate(timeout=60)
    assert (
        process.returncode == 0 and "given back after" in output and output.endswith("ended\n")
    ), output
    assert states(machine) == BEFORE
    wait_until(lambda: nothing_left(machine))


def test_while_lent_nothing_starts_a_unit_and_each_was_stopped_as_it_asks_to_be(machine):
    process, pid = borrow(machine)
    assert states(machine) == LENT
    for unit in UNITS_HERE:
        machine.systemctl("start", unit, check=False)
    assert states(machine) == LENT
    assert {JUDGE, WHISPER} <= set(machine.read("/var/log/stopped-properly").split())
    machine.run("kill", "-INT", pid)
    process.communicate(timeout=60)


def test_the_promise_is_enabled_before_anything_stops(machine):
    machine.write(
        f"{UNITS}/{JUDGE}",
        UNIT.format(extra=SHOW_ETC),
    )
    machine.systemctl("daemon-reload")
    process, pid = borrow(machine)
    listing = machine.read("/var/log/seen")
    assert "gpu-allocation-lent-" in listing.partition("multi-user.target.wants:")[2]
    machine.run("kill", "-INT", pid)
    process.communicate(timeout=60)


@pytest.mark.parametrize("number", ["INT", "TERM"])
def test_all_is_as_before_when_it_is_asked_to_stop(machine, number):
    process, pid = borrow(machine, script=EXITING)
    machine.run("kill", f"-{number}", pid)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert states(machine) == BEFORE
    wait_until(lambda: nothing_left(machine))


def test_all_is_as_before_when_it_is_killed(machine):
    process, pid = borrow(machine)
    machine.run("kill", "-KILL", pid)
    process.communicate(timeout=60)
    wait_until(lambda: states(machine) == BEFORE)
    wait_until(lambda: nothing_left(machine))


@pytest.mark.parametrize("number", ["KILL", "TERM", "INT"])
def test_a_killed_guard_comes_back_and_keeps_the_promise(machine, number):
    process, pid = borrow(machine)
    machine.systemctl("kill", f"--signal={number}", "gpu-allocation-guard-*")
    machine.run("kill", "-KILL", pid)
    process.communicate(timeout=60)
    wait_until(lambda: states(machine) == BEFORE)
    wait_until(lambda: nothing_left(machine))


def test_what_a_killed_study_left_running_is_ended_first(machine):
    process, pid = borrow(machine, "sleep", "777", units=JUDGE)
    assert machine.run("pgrep", "-f", "sleep 777")
    machine.run("kill", "-KILL", pid)
    process.communicate(timeout=60)
    wait_until(lambda: machine.show(JUDGE, "ActiveState") == "active")
    assert machine.run("pgrep", "-f", "sleep 777", check=False) == ""
    wait_until(lambda: nothing_left(machine))


def test_the_outage_ends_in_time_although_the_study_would_go_on(machine):
    process, _ = borrow(machine, outage_s=3.0, script=EXITING)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert states(machine) == BEFORE
    wait_until(lambda: nothing_left(machine))


def test_after_a_boot_what_ran_runs_and_the_promise_is_gone(machine):
    process, _ = borrow(machine, units=f"{JUDGE},{WHISPER}")
    machine.systemctl("disable", OFF)
    machine.boot_again()
    process.communicate(timeout=60)
    wait_until(lambda: [s for s, _ in states(machine)] == ["active", "active", "inactive"])
    assert [e for _, e in states(machine)] == ["enabled", "disabled", "disabled"]
    wait_until(lambda: nothing_left(machine))


def test_two_cannot_borrow_the_same_unit(machine):
    process, pid = borrow(machine, units=JUDGE)
    other = machine.fork(BORROW, f"{WHISPER},{JUDGE}", 0, 1)
    output, _ = other.communicate(timeout=60)
    assert other.returncode == 2 and "judge.service: it is masked" in output, output
    assert machine.show(WHISPER, "ActiveState") == "active"
    machine.run("kill", "-INT", pid)
    process.communicate(timeout=60)
    assert states(machine) == BEFORE


def test_what_stops_with_a_unit_and_what_would_start_it_is_lent_too_and_comes_back(machine):
    machine.write(
        f"{UNITS}/app.service",
        f"[Unit]\nRequires={JUDGE}\nAfter={JUDGE}\n[Service]\nExecStart=/bin/sleep 1000\n",
    )
    machine.write(f"{UNITS}/judge.timer", "[Timer]\nOnActiveSec=1h\n")
    machine.systemctl("daemon-reload")
    machine.systemctl("start", "app.service", "judge.timer")
    process, pid = borrow(machine, units=JUDGE)
    both = ("app.service", "judge.timer")
    assert [machine.show(u, "ActiveState") for u in both] == ["inactive", "inactive"]
    machine.run("kill", "-KILL", pid)
    process.communicate(timeout=60)
    wait_until(
        lambda: (
            machine.show("app.service", "ActiveState")
            == machine.show("judge.timer", "ActiveState")
            == "active"
        )
    )
    wait_until(lambda: nothing_left(machine))
    machine.systemctl("stop", *both)


def test_giving_back_does_not_start_what_a_unit_wants_and_was_off(machine):
    machine.write(f"{UNITS}/{JUDGE}", "[Unit]\nWants=old.service\n" + UNIT.format(extra=""))
    machine.systemctl("daemon-reload")
    machine.systemctl("stop", OFF)
    process, _ = borrow(machine, units=JUDGE, for_s=0.2)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert states(machine) == BEFORE


def test_a_unit_that_would_not_stop_ends_with_all_given_back(machine):
    machine.write(f"{UNITS}/{JUDGE}", "[Unit]\nRefuseManualStop=yes\n" + UNIT.format(extra=""))
    machine.systemctl("daemon-reload")
    process = machine.fork(BORROW, f"{JUDGE},{WHISPER}", 0, 1)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 3 and "judge.service" in output, output
    assert states(machine) == BEFORE
    wait_until(lambda: nothing_left(machine))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nope.service", "no such unit"),
        ("judge", "write its whole name"),
        ("judge.service;reboot", "is no unit"),
        ("judge@.service", "is no unit"),
        ("-H.service", "no such unit"),
        ("once.service", "made by systemd-run"),
    ],
)
def test_what_cannot_be_given_back_is_refused_and_nothing_stops(machine, name, why):
    if name == "once.service":
        machine.run("systemd-run", "--unit=once.service", "/bin/sleep", "1000")
    process = machine.fork(BORROW, f"{WHISPER},{name}", 0, 1)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2 and why in output, output
    assert states(machine) == BEFORE
    assert nothing_left(machine)


def test_where_the_promise_cannot_be_written_nothing_stops_and_the_reason_is_said(machine):
    wants = machine.root / "etc/systemd/system/multi-user.target.wants"
    wants.rename(wants.with_name("kept"))
    wants.write_text("a file where a folder should be")
    try:
        process = machine.fork(BORROW, f"{JUDGE},{WHISPER}", 0, 1)
        output, _ = process.communicate(timeout=60)
    finally:
        wants.unlink()
        wants.with_name("kept").rename(wants)
    assert process.returncode == 3 and "needs root: run the same command with sudo" in output, (
        output
    )
    assert states(machine) == BEFORE
    assert nothing_left(machine)


def test_a_borrowed_unit_of_a_vanished_guard_comes_back_with_the_next_study(machine):
    process, pid = borrow(machine, units=WHISPER)
    machine.systemctl("stop", "gpu-allocation-guard-*")
    machine.run("kill", "-KILL", pid)
    process.communicate(timeout=60)
    assert machine.show(WHISPER, "ActiveState") == "inactive"
    other = machine.fork(BORROW, JUDGE, 0, 0.1)
    output, _ = other.communicate(timeout=60)
    assert other.returncode == 0 and "gave back what an earlier study had borrowed" in output, (
        output
    )
    assert states(machine) == BEFORE
    assert nothing_left(machine)


USER_MANAGER = """
[Service]
Type=notify
Environment=XDG_RUNTIME_DIR=/run/user/0 HOME=/root
ExecStart=/lib/systemd/systemd --user
Delegate=yes
"""


def test_units_of_a_user_are_lent_and_come_back_after_a_kill(machine):
    machine.write(f"{UNITS}/user-manager.service", USER_MANAGER)
    (machine.root / "run/user/0").mkdir(parents=True, exist_ok=True)
    machine.write(
        "/root/.config/systemd/user/assistant.service",
        UNIT.format(extra="").replace("multi-user", "default"),
    )
    machine.systemctl("daemon-reload")
    machine.systemctl("start", "user-manager.service")
    user = ("env", "XDG_RUNTIME_DIR=/run/user/0", "HOME=/root", "systemctl", "--user")
    machine.run(*user, "start", "assistant.service")
    try:
        inside = {"XDG_RUNTIME_DIR": "/run/user/0", "HOME": "/root"}
        process, pid = borrow(machine, units=f"assistant.service,{JUDGE}", **inside)
        show = (
            *user,
            "show",
            "assistant.service",
            "--property=ActiveState,UnitFileState",
            "--value",
        )
        assert machine.run(*show).split() == ["inactive", "masked-runtime"]
        assert [
            *(machine.root / "root/.config/systemd/user/default.target.wants").glob(
                "gpu-allocation-lent-*"
            )
        ]
        machine.run("kill", "-KILL", pid)
        process.communicate(timeout=60)
        wait_until(lambda: machine.run(*show).split() == ["active", "disabled"])
        wait_until(lambda: states(machine) == BEFORE)
        wait_until(
            lambda: not [*(machine.root / "root/.config/systemd/user").rglob("gpu-allocation-*")]
        )
    finally:
        machine.systemctl("stop", "user-manager.service")


def test_units_cannot_be_lent_where_no_systemd_runs():
    if Path("/run/systemd/system").is_dir():
        pytest.skip("systemd runs here")
    with pytest.raises(SetupError), pause.lent([JUDGE], print):
        pass


def test_no_unit_asks_nothing_of_systemd():
    with pause.lent([], print):
        pass


SCRIPT = str(REPOSITORY / "scripts/run_study.py")


@pytest.fixture
def spec(machine):
    server = f"{sys.executable} -IS {FAKE} --port {{port}}"
    machine.write("/root/spec.yaml", SPEC.format(server=server))
    return "/root/spec.yaml"


def test_a_study_borrows_measures_and_gives_back(machine, spec):
    process = machine.begin(
        SCRIPT, spec, "--n-trials", "1", "--out", "/root/out", "--lend-from", JUDGE
    )
    output, _ = process.communicate(timeout=120)
    assert process.returncode in (0, 4) and "given back after" in output and "trial 0" in output, (
        output
    )
    assert (
        output.index("lent to this study: judge.service")
        < output.index("trial 0")
        < output.index("given back after")
    )
    assert states(machine) == BEFORE
    wait_until(lambda: nothing_left(machine))


def test_a_killed_study_leaves_no_server_and_the_units_run(machine, spec):
    process = machine.begin(SCRIPT, spec, "--out", "/root/out2", "--lend-from", JUDGE)
    wait_until(
        lambda: machine.run("pgrep", "-f", "fakes.py", check=False), 90
    )  # others may keep the cores busy
    assert machine.show(JUDGE, "ActiveState") == "inactive"
    machine.run("pkill", "-9", "-f", "run_study.py")  # in its own process namespace
    process.communicate(timeout=60)
    wait_until(lambda: states(machine) == BEFORE)
    assert machine.run("pgrep", "-f", "fakes.py", check=False) == ""
    wait_until(lambda: nothing_left(machine))


def test_a_dry_run_says_how_long_and_stops_nothing(machine, spec):
    lend = ("--lend-from", JUDGE, "--lend-from", OFF, "--max-outage", "2m")
    run = "from processes.commands import main_of; main_of('run_study.py')()"
    process = machine.fork(run, spec, "--out", "/root/out3", "--dry-run", *lend)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "outage: about 2 min, at most 2 min" in output, output
    assert "judge.service (system; active, enabled): stopped" in output
    assert "old.service (system; inactive, enabled): stays off" in output
    assert states(machine) == BEFORE
    assert nothing_left(machine)
