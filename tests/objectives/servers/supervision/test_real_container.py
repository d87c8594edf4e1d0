"""A real docker and podman: a container that a study starts ends with it, whoever is killed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rigs.container_rig import IMAGE, OPTIONS, give
from rigs.systemd_rig import Rig, rig, wait_until

STUDY = """
import os, sys, time
from pathlib import Path
from objectives.engines.command import Command
from objectives.servers.process import reap_left_behind, serving
folder, *argv = sys.argv[1:]
for sentence in reap_left_behind(Path(folder)):
    print(sentence)
log = Path(folder) / "llm.log"
with serving("llm", Command(tuple(argv), {}, 60), log=log,
             ready=lambda *_: "complete." in log.read_text()) as server:
    print("pids", os.getpid(), server.pid, flush=True)
    sys.stdin.readline()
"""
SERVER = "import time; print('complete.', flush=True); time.sleep(3600)"


@pytest.fixture(scope="module")
def machine(engine: str) -> Iterator[Rig]:
    with rig() as booted:
        give(booted, engine)
        yield booted


def containers(machine: Rig, engine: str) -> str:
    return machine.run(engine, "ps", "--all", "--quiet")


@pytest.mark.parametrize("victims", ["nobody", "study", "supervisor", "both"])
def test_a_container_ends_with_the_study(machine: Rig, engine: str, victims: str) -> None:
    folder = f"/root/{victims}"
    machine.run("mkdir", folder)
    words = (engine, "run", *OPTIONS.split(), IMAGE, "/usr/bin/python3", "-c", SERVER)
    process = machine.begin("-c", STUDY, folder, *words)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("pids"), line + process.stdout.read()
    study, supervisor = line.split()[1:]
    assert len(containers(machine, engine).split()) == 1
    killed = {"study": [study], "supervisor": [supervisor], "both": [supervisor, study]}
    if victims == "nobody":
        machine.run("kill", "-INT", study)
    else:
        machine.run("kill", "-KILL", *killed[victims])
    wait_until(lambda: not containers(machine, engine))
    machine.run("kill", "-KILL", study, check=False)
    process.communicate(timeout=60)
