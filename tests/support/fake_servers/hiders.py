"""`python hiders.py TOKEN` is a server that hides: what it starts leaves the tree, and no trace.

Each of three deaf children has a session of its own, no parent and an empty environment; one of
them forks again and again. Their command lines hold the token. `Study` is a study process that
launches it, and dies as its test wants.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
CHILD = """
import os, signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
for _ in range(3000 if sys.argv[2] == "forks" else 0):  # a minute, whoever forgets it
    time.sleep(0.02)
    if os.fork():
        os._exit(0)
time.sleep(0 if sys.argv[2] == "forks" else 120)
"""
STUDY = """
import sys, time
from pathlib import Path
from objectives.engines.command import Command
from objectives.servers import process
from objectives.servers.supervision.guard import Guard
folder, kind, *argv = sys.argv[1:]
if kind:
    process.guard = lambda: Guard[kind]
log = Path(folder) / "llm.log"
with process.serving("llm", Command(tuple(argv), {}, 60), log=log,
                     ready=lambda *_: "complete." in log.read_text()) as server:
    print(server.pid, flush=True)
    time.sleep(3600)
"""


def hide(token: str) -> None:
    """Start the children, say so, and serve nothing."""
    for mood in ("sleeps", "sleeps", "forks"):
        words = [sys.executable, "-I", "-S", "-c", CHILD, token, mood]
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execve(sys.executable, words, {})
            os._exit(0)
        os.wait()
    time.sleep(0.2)
    print("complete.", flush=True)
    time.sleep(600)


def hidden(token: str) -> list[int]:
    """Return the hidden processes, as numbered here: the token stands behind their code.

    One look may miss the one that forks.
    """
    pids, words = [], [f"\0{token}\0{mood}\0".encode() for mood in ("sleeps", "forks")]
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if any(word in line for word in words):
            pids.append(int(entry.name))
    return pids


def are_gone(token: str, within_s: float) -> bool:
    """Wait until none is left, and tell whether that is so."""
    until, looks = time.monotonic() + within_s, 0
    while looks < 3 and time.monotonic() < until:
        looks = 0 if hidden(token) else looks + 1
        time.sleep(0.05)
    return looks == 3


def end(token: str) -> None:
    """Kill the hidden processes until none is left; the one that forks may slip away at first."""
    looks = 0
    while looks < 5:
        pids = hidden(token)
        looks = 0 if pids else looks + 1
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextmanager
def study(folder: Path, kind: str, token: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start a study whose server hides; yield it, and the number of what supervises the server.

    It is a fork of this process, and what it starts are interpreters, as a study's are.

    Args:
        folder: For logs.
        kind: The name of its guard; empty: what this machine permits.
        token: What the hidden processes are found by.
    """
    from processes.forked import Forked  # the server, which imports this too, needs none of it

    line = [sys.executable, "-c", STUDY, str(folder), kind, sys.executable, __file__, token]
    with Forked(line, cwd=REPOSITORY, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            yield process, int(process.stdout.readline())
        finally:
            process.kill()
            end(token)


if __name__ == "__main__":
    hide(sys.argv[1])
