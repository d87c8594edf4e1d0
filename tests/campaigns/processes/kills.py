"""Studies are killed at random moments, in every combination; nothing of their servers is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from itertools import combinations
from pathlib import Path

from objectives.servers.process import reap_left_behind
from objectives.servers.supervision.guard import Guard, permits

from ..campaign import Try

ROOT = Path(__file__).parents[3]
HIDERS = ROOT / "tests" / "support" / "fake_servers" / "hiders.py"
LONGEST_S = 2.5  # until the kill: before, while and after the server starts
GONE_S = 20.0
CODE = (
    f"import sys; sys.path.insert(0, {str(HIDERS.parents[1])!r}); from fake_servers import hiders; "
    "exec(compile(hiders.STUDY, 'study', 'exec'))"
)
VICTIMS = ("study", "supervisor.py", "keeper.py", "hiders.py")
KINDS = ("", "NAMESPACE")  # the guard that this machine prefers, or that
COMBINATIONS = [
    (kind, victims)
    for count in range(1, len(VICTIMS) + 1)
    for victims in combinations(VICTIMS, count)
    for kind in KINDS
]


def attack(rng: Try) -> None:
    """Kill any of study, supervisor, keeper and server, each combination in its turn, in any order.

    Raises:
        AssertionError: Something is left.
    """
    token = f"hidden-{uuid.uuid4().hex}"
    with tempfile.TemporaryDirectory() as folder:
        kind, chosen = COMBINATIONS[rng.number % len(COMBINATIONS)]
        if kind and not permits(Guard[kind]):
            kind = ""
        line = [sys.executable, "-c", CODE, folder, kind, sys.executable, str(HIDERS), token]
        with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL) as study:
            time.sleep(rng.uniform(0.2, LONGEST_S))
            victims = rng.sample(chosen, len(chosen))
            for victim in victims:
                for pid in [study.pid] if victim == "study" else _below(study.pid, victim):
                    _kill(pid)
            if "study" not in victims:
                time.sleep(rng.uniform(0, 0.2))
                study.kill()
            study.wait()
        try:
            if "keeper.py" in victims:  # what nobody is left to end, the next run ends
                time.sleep(1.0)
                reap_left_behind(Path(folder))
            until = time.monotonic() + GONE_S
            while left := _with(token):
                assert time.monotonic() < until, (kind, victims, left)
                time.sleep(0.1)
            reap_left_behind(Path(folder))
            assert not list(Path(folder).glob("*.running.json"))
        finally:
            for pid in _with(token):
                _kill(pid)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _with(word: str) -> list[int]:
    """Return the processes whose command line holds a word; a zombie has none."""
    pids = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (entry / "cmdline").read_bytes():
                pids.append(int(entry.name))
        except OSError:
            continue
    return pids


def _below(study: int, script: str) -> list[int]:
    """Return the processes below the study that run a script as a plain file."""
    pids, queue = [], [study]
    while queue:
        pid = queue.pop()
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        queue += map(int, children)
        # the server's script is among its supervisor's words too
        programs = [w for w in words[1:4] if w.endswith(script.encode())]
        pids += [pid] * bool(programs)
    return pids
