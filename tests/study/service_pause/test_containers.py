"""Containers of a real engine lend their GPU beside units, and get it back whatever happens."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from rigs.container_rig import ENGINES, IMAGE, OPTIONS, give
from rigs.systemd_rig import UNITS, Rig, rig, wait_until

ENOUGH = "/root/enough"
BORROW = f"""
import os, sys, time
from objectives.errors import StudyError
from study.service_pause.options import Lending, outage
from study.service_pause.pause import lent
units = sys.argv[1].split(",")
try:
    print(*outage(Lending(tuple(units)).states(), 60.0, None), sep="\\n")
    with lent(units, print):
        print("borrowed by", os.getpid(), flush=True)
        while not os.path.exists({ENOUGH!r}):
            time.sleep(0.05)
except StudyError as error:
    print(error)
    sys.exit(error.exit_code)
"""
JUDGE = "[Service]\nExecStart=/bin/sleep 1000\n"


@pytest.fixture(scope="module")
def machine(engine: str) -> Iterator[Rig]:
    with rig() as booted:
        give(booted, engine)
        booted.write(f"{UNITS}/judge.service", JUDGE)
        booted.systemctl("daemon-reload")
        booted.systemctl("start", "judge.service")
        start(booted, engine, "llm", "--restart", "unless-stopped")
        start(booted, engine, "off")
        booted.run(engine, "stop", "--time", "0", "off")
        yield booted


def start(machine: Rig, engine: str, name: str, *more: str) -> None:
    """Start a container that ends at once; its output goes nowhere, for the rig reads it."""
    options = f"--stop-signal KILL {OPTIONS} {' '.join(more)}"
    words = f"{engine} run -d --name {name} {options} {IMAGE} /usr/bin/sleep 1000"
    machine.run("sh", "-c", f"{words} > /dev/null 2>&1")


def running(machine: Rig, engine: str) -> dict[str, bool]:
    names = ("llm", "off")
    words = (engine, "inspect", "--format", "{{.State.Running}}", *names)
    answers = machine.run(*words).split()
    return {n: a == "true" for n, a in zip(names, answers, strict=True)}


def borrow(machine: Rig, *units: str) -> tuple[subprocess.Popen[str], str, str]:
    """Start a process inside that borrows; return it, its number inside and what it has said."""
    process, output = machine.fork(BORROW, ",".join(units)), ""
    assert process.stdout is not None
    for line in process.stdout:
        output += line
        if line.startswith("borrowed by"):
            return process, line.split()[-1], output
    raise AssertionError(output)


BEFORE, LENT = {"llm": True, "off": False}, {"llm": False, "off": False}


def test_a_container_is_stopped_meanwhile_and_one_that_was_off_stays_off(
    machine: Rig, engine: str
) -> None:
    process, _, opening = borrow(machine, f"{engine}:llm", "container:off", "judge.service")
    assert running(machine, engine) == LENT
    assert machine.systemctl("is-active", "judge.service", check=False) == "inactive"
    machine.write(ENOUGH, "")
    output = opening + process.communicate(timeout=60)[0]
    assert process.returncode == 0, output
    assert f"container llm ({engine}; running, restart unless-stopped): stopped" in output, output
    assert f"container off ({engine}; exited, restart no): stays off" in output
    assert "lent to this study: judge.service, container llm, container off (was off)" in output
    assert running(machine, engine) == BEFORE
    assert machine.systemctl("is-active", "judge.service") == "active"
    (machine.root / ENOUGH[1:]).unlink()


def test_a_container_comes_back_where_the_study_is_killed(machine: Rig, engine: str) -> None:
    process, pid, _ = borrow(machine, f"{engine}:llm")
    assert running(machine, engine) == LENT
    promises = [*(machine.root / UNITS.lstrip("/")).glob("gpu-allocation-lent-*.service")]
    assert len(promises) == 1 and f"/{engine} llm" in promises[0].read_text()
    machine.run("kill", "-KILL", pid)
    process.communicate(timeout=60)
    wait_until(lambda: running(machine, engine) == BEFORE)
    wait_until(lambda: not promises[0].exists())


def test_a_promise_brings_a_container_back_after_a_reboot(machine: Rig, engine: str) -> None:
    process, pid, _ = borrow(machine, f"{engine}:llm")
    [promise] = (machine.root / UNITS.lstrip("/")).glob("gpu-allocation-lent-*.service")
    machine.systemctl("stop", "gpu-allocation-guard-*")
    machine.run("kill", "-KILL", pid)
    process.communicate(timeout=60)
    assert running(machine, engine) == LENT
    machine.systemctl("start", promise.name)  # what a boot does
    wait_until(lambda: running(machine, engine) == BEFORE)
    assert not promise.exists()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("{engine}:none", "there is no such container"),
        ("container:a b", "is no container"),
        ("{other}:llm", "neither docker nor podman is on this machine|failed|no such container"),
        ("{engine}:passing", "started with --rm and is gone once stopped"),
        ("{engine}:owned", r"owned.service would start it again; --lend-from owned.service"),
    ],
)
def test_what_could_not_be_given_back_is_refused(
    machine: Rig, engine: str, name: str, why: str
) -> None:
    if "passing" in name:
        start(machine, engine, "passing", "--rm")
    if "owned" in name:
        start(machine, engine, "owned", "--label", "PODMAN_SYSTEMD_UNIT=owned.service")
    [other] = {*ENGINES} - {engine}
    name = name.format(engine=engine, other=other)
    process = machine.fork(BORROW, name)
    output, _ = process.communicate(timeout=60)
    assert process.returncode in (2, 3), output
    assert any(part in output for part in why.split("|")), output
    assert running(machine, engine) == BEFORE
