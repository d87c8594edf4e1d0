"""A supervisor is written by hand: we know no library that ends all of a server when a study dies.

A supervisor runs one server, and outlives the study to end it. A signal at the death of the parent
would reach the server alone, and vLLM's engine, a child of that, survives it; one to the
process group would not reach what has left it.

Usage: `supervisor.py CONTROL_FD STATUS_FILE LOG_FILE NAME PROGRAM ID_FILE -- COMMAND...`; the words
PROGRAM and ID_FILE are empty where the command runs no container. It is run as a plain file and
needs the standard library only. It adopts every orphan below it (child subreaper) and holds the
read end of a pipe from the study. A line `stop SECONDS` ends the server politely; a closed pipe,
for whatever reason, kills every descendant at once, whatever session or process group it has moved
to. Where the kernel permits, the server is in a cgroup of its own, and a keeper ends that cgroup
where the supervisor itself is killed. It writes what they print to a log of bounded length.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
EMPTY_LOOKS = 5
KEEPER = Path(__file__).with_name("keeper.py")
MARK = "ALLOCATION_STUDY_SERVER"  # names the launch in the environment of its processes
LIBC = ctypes.CDLL(None, use_errno=True)


def descendants(root: int) -> list[int]:
    """Return every living process below `root`, by parent ids.

    A zombie is none, unless other threads of it run: its children are below it until they end.
    """
    children: dict[int, list[int]] = {}
    dead: set[int] = set()
    for name in os.listdir("/proc"):  # noqa: PTH208  it is read often, and a Path takes longer
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb", buffering=0) as file:  # noqa: PTH123
                    stat = file.read()
            except OSError:
                continue  # it ended while we looked
            fields = stat[stat.rindex(b")") + 2 :].split()
            state, parent, threads = fields[0], int(fields[1]), int(fields[17])
            children.setdefault(parent, []).append(int(name))
            if state == b"Z" and threads <= 1:
                dead.add(int(name))
    pids, queue = list[int](), [root]
    while queue:
        below = children.get(queue.pop(), [])
        pids += (pid for pid in below if pid not in dead)
        queue += below
    return pids


def reap() -> dict[int, int]:
    """Collect every ended child; return exit codes (negative for a signal) by process id."""
    exit_codes: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return exit_codes
        if pid == 0:
            return exit_codes
        exit_codes[pid] = os.waitstatus_to_exitcode(status)


def kill_all(patience_s: float, spared: Collection[int] = ()) -> dict[int, int]:
    """Kill descendants until several looks in a row find none; return exit codes by process id.

    One look is not enough: /proc is not read at one moment, and a process whose parent dies
    meanwhile is seen neither below the one nor, yet, below us. A process may also fork while it is
    being killed.

    Args:
        patience_s: How long to look, s.
        spared: Children that are none of the server's.
    """
    exit_codes: dict[int, int] = {}
    deadline = time.monotonic() + patience_s
    empty_looks = 0
    while empty_looks < EMPTY_LOOKS and time.monotonic() < deadline:
        living = [pid for pid in descendants(os.getpid()) if pid not in spared]
        empty_looks = 0 if living else empty_looks + 1
        for pid in living:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.02 if living else 0.005)
        exit_codes |= reap()
    return exit_codes


def main(files: list[str], name: str, container_words: list[str], command: list[str]) -> None:
    """Run the command until it ends or the pipe says so; then leave nothing of it behind.

    Args:
        files: The number of the pipe's read end, the status file and the log file.
        name: Names the cgroup; empty where it gets none.
        container_words: The program that runs a container, and the file of its id; empty words
            without.
        command: The words of the command.
    """
    from objectives.servers.supervision import cgroup, container
    from objectives.servers.supervision.bounded_log import BoundedLog

    control, status_file = int(files[0]), Path(files[1])
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.set_inheritable(control, False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)

    def in_child() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        cgroup.enter(group)

    group = cgroup.made(name) if name else None
    keeper = kept(group, container_words)
    reading, writing = os.pipe()
    log = BoundedLog(Path(files[2]), reading)
    try:
        child = subprocess.Popen(
            command,
            stdout=writing,
            stderr=writing,
            start_new_session=True,
            preexec_fn=in_child,  # noqa: PLW1509
        )
    except OSError as error:
        log.write(f"cannot start {command[0]}: {error.strerror}\n".encode())
        cgroup.end(group, 0.0)
        report(status_file, 127, is_stop=False)
        return
    finally:
        os.close(writing)
    exit_codes: dict[int, int] = {}
    is_stop, kill_at = False, float("inf")
    awaited = [control, reading, *ends_of(child.pid)]
    while child.pid not in exit_codes:
        readable, _, _ = select.select(awaited, [], [], 0.1)
        if reading in readable and not log.take():
            awaited.remove(reading)  # it has closed its output, and may live on
        if control in readable:
            message = os.read(control, 64)
            if not message:
                break
            is_stop, kill_at = True, time.monotonic() + float(message.split()[1])
            os.killpg(child.pid, signal.SIGTERM)
        if time.monotonic() > kill_at:
            break
        exit_codes |= reap()
    log.take()  # or who is about to end by itself waits for us
    cgroup.kill(group)
    exit_codes |= kill_all(8.0, (keeper,))
    cgroup.end(group, 8.0)
    container.end(*container_words)
    log.take()
    report(status_file, exit_codes.get(child.pid, -signal.SIGKILL), is_stop=is_stop)


def kept(group: Path | None, container_words: list[str]) -> int:
    """Start what ends the server where this process is killed; return its process id."""
    words = [str(group or ""), *container_words]
    reading, writing = os.pipe()  # the other end closes with this process, and is no child's
    environment = {k: v for k, v in os.environ.items() if k != MARK}
    keeper = subprocess.Popen(
        [sys.executable, "-I", "-S", str(KEEPER), *words],
        stdin=reading,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )
    os.close(reading)
    os.set_inheritable(writing, False)
    return keeper.pid


def ends_of(pid: int) -> list[int]:
    """Return a file descriptor that can be read once a process has ended; none on old kernels."""
    try:
        return [os.pidfd_open(pid)]
    except OSError:
        return []


def report(status_file: Path, exit_code: int, *, is_stop: bool) -> None:
    """Write the server's own exit code for the study, whole or not at all.

    Args:
        status_file: The file.
        exit_code: The exit code; negative for a signal.
        is_stop: Whether the study asked for the end.
    """
    draft = status_file.with_suffix(".draft")
    draft.write_text(json.dumps({"exit_code": exit_code, "asked": is_stop}))
    draft.replace(status_file)


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parents[3]))  # it is run as a plain file
    main(sys.argv[1:4], sys.argv[4], sys.argv[5:7], sys.argv[8:])
