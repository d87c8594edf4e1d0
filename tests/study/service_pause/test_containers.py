"""Containers of a real engine lend their GPU beside units, and get it back whatever happens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from container_rig import ENGINES, IMAGE, OPTIONS, give
from systemd_rig import UNITS, Rig, rig, wait_until

BORROW = """
# the borrower
import sys, time
from objectives.errors import StudyError
from study.service_pause.options import Lending, outage
from study.service_pause.pause import lent
units, for_s = sys.argv[1].split(","), float(sys.argv[2])
try:
    print(*outage(Lending(tuple(units)).states(), 60.0, None), sep="\\n")
    with lent(units, print):
        print("borrowed", flush=True)
        time.sleep(for_s)
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
    """Start a container that ends by SIGTERM; its output goes nowhere, for the rig reads it."""
    words = f"{engine} run -d --name {name} {OPTIONS} {' '.join(more)} {IMAGE} /usr/bin/sleep 1000"
    machine.run("sh", "-c", f"{words} > /dev/null 2>&1")


def running(machine: Rig, engine: str) -> dict[str, bool]:
    names = ("llm", "off")
    words = (engine, "inspect", "--format", "{{.State.Running}}", *names)
    answers = machine.run(*words).split()
    return {n: a == "true" for n, a in zip(names, answers, strict=True)}


def kill(machine: Rig) -> None:
    """Kill the borrower, which alone says so in its words."""
    machine.run("pkill", "-KILL", "-f", "the borrower")


BEFORE, LENT = {"llm": True, "off": False}, {"llm": False, "off": False}


def test_a_container_is_stopped_meanwhile_and_one_that_was_off_stays_off(
    machine: Rig, engine: str
) -> None:
    process = machine.begin("-c", BORROW, f"{engine}:llm,container:off,judge.service", "2")
    wait_until(lambda: running(machine, engine) == LENT)
    wait_until(lambda: machine.systemctl("is-active", "judge.service", check=False) == "inactive")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert f"container llm ({engine}; running, restart unless-stopped): stopped" in output, output
    assert f"container off ({engine}; exited, restart no): stays off" in output
    assert "lent to this study: judge.service, container llm, container off (was off)" in output
    assert running(machine, engine) == BEFORE
    assert machine.systemctl("is-active", "judge.service") == "active"


def test_a_container_comes_back_where_the_study_is_killed(machine: Rig, engine: str) -> None:
    process = machine.begin("-c", BORROW, f"{engine}:llm", "60")
    wait_until(lambda: running(machine, engine) == LENT)
    promises = [*(machine.root / UNITS.lstrip("/")).glob("gpu-allocation-lent-*.service")]
    assert len(promises) == 1 and f"/{engine} llm" in promises[0].read_text()
    kill(machine)
    process.communicate(timeout=60)
    wait_until(lambda: running(machine, engine) == BEFORE)
    wait_until(lambda: not promises[0].exists())


def test_a_promise_brings_a_container_back_after_a_reboot(machine: Rig, engine: str) -> None:
    process = machine.begin("-c", BORROW, f"{engine}:llm", "60")
    wait_until(lambda: "exited" in machine.run(engine, "inspect", "llm"))
    [promise] = (machine.root / UNITS.lstrip("/")).glob("gpu-allocation-lent-*.service")
    machine.systemctl("stop", "gpu-allocation-guard-*")
    kill(machine)
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
    process = machine.begin("-c", BORROW, name, "0")
    output, _ = process.communicate(timeout=60)
    assert process.returncode in (2, 3), output
    assert any(part in output for part in why.split("|")), output
    assert running(machine, engine) == BEFORE
