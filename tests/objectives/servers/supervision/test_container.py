"""A container is ended by its id, since the command that runs it may be killed before it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_servers.hiders import REPOSITORY, STUDY
from processes.forked import Forked

from objectives.engines.command import Command
from objectives.servers.process import reap_left_behind, serving
from objectives.servers.supervision import container

pytestmark = pytest.mark.usefixtures("real_servers")
DOCKER = """#!{python}
import os, pathlib, subprocess, sys, time
home, words = pathlib.Path(__file__).parent, sys.argv[1:]
with (home / "calls").open("a") as file:
    file.write(" ".join(words) + chr(10))
if words[0] == "rm":
    sys.exit(0 if (home / words[-1]).exists() and not (home / words[-1]).unlink() else 1)
id_file = pathlib.Path(words[words.index("--cidfile") + 1])
if id_file.exists():
    sys.exit("docker: container ID file found, make sure the other container isn't running")
id_file.write_text("c0ffee")
(home / "c0ffee").touch()  # the container, which is the daemon's and none of ours
print("complete.", flush=True)
time.sleep(600)
"""


@pytest.fixture
def docker(tmp_path: Path) -> Path:
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(DOCKER.format(python=sys.executable))
    program.chmod(0o755)
    return program


def test_a_container_ends_with_the_block(docker: Path, tmp_path: Path) -> None:
    log = tmp_path / "llm.log"
    command = Command((str(docker), "run", "--rm", "vllm", "--port", "{port}"), {}, 30)
    for _ in range(2):
        with serving("llm", command, log=log, ready=lambda *_: "complete." in log.read_text()):
            assert (docker.parent / "c0ffee").exists()
        assert not (docker.parent / "c0ffee").exists()
    calls = (docker.parent / "calls").read_text().splitlines()
    assert [c.split()[0] for c in calls] == ["run", "rm", "run", "rm"]
    assert f"--cidfile {log.with_suffix('.cid')} --rm vllm --port" in calls[0]
    assert calls[1] == "rm --force c0ffee"
    assert not list(tmp_path.glob("*.cid"))


@pytest.mark.parametrize("victims", ["study", "supervisor", "both", "all"])
def test_a_container_ends_whoever_is_killed(docker: Path, tmp_path: Path, victims: str) -> None:
    line = [sys.executable, "-c", STUDY, str(tmp_path), "", str(docker), "run", "vllm"]
    with Forked(line, cwd=REPOSITORY, stdout=subprocess.PIPE) as study:
        try:
            assert study.stdout is not None
            supervisor = int(study.stdout.readline())
            children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
            pids = {"study": [study.pid], "supervisor": [supervisor], "both": [supervisor]}
            killed = pids.get(victims, [supervisor, *map(int, children)])
            for number in (signal.SIGSTOP, signal.SIGKILL):  # so that none sees another end
                for pid in killed:
                    os.kill(pid, number)
            if victims in ("both", "all"):
                study.kill()
            if victims == "all":  # the keeper too: the next run sees to it
                study.wait()
                assert (docker.parent / "c0ffee").exists()
                [sentence] = reap_left_behind(tmp_path)
                # one that was killed may not have ended yet, and is then what is named
                assert re.search(r"earlier run \((a container|process \d+), ", sentence)
            until = time.monotonic() + 15
            while (docker.parent / "c0ffee").exists() and time.monotonic() < until:
                time.sleep(0.05)
            assert not (docker.parent / "c0ffee").exists()
        finally:
            study.kill()


@pytest.mark.parametrize("text", ["", "../../etc", "-f", "a b", "c0ffee\n--all"])
def test_what_is_no_id_ends_nothing(docker: Path, tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.cid"
    file.write_text(text)
    assert not container.end(str(docker), str(file))
    assert not (docker.parent / "calls").exists()


def test_a_record_names_no_other_program_to_run(docker: Path, tmp_path: Path) -> None:
    other = docker.rename(docker.with_name("evil"))
    (tmp_path / "x.cid").write_text("c0ffee")
    record = {"mark": "llm-1", "container": [str(other), str(tmp_path / "x.cid")]}
    (tmp_path / "llm.running.json").write_text(json.dumps(record))
    assert reap_left_behind(tmp_path) == []
    assert not (docker.parent / "calls").exists()
