"""A supervisor runs one server, and outlives the study to end it.

Usage: `supervisor.py CONTROL_FD STATUS_FILE LOG_FILE -- COMMAND...`. It is run as a plain file and
imports the standard library only. It adopts every orphan below it (child subreaper) and holds the
read end of a pipe from the study. A line `stop SECONDS` ends the server politely; a closed pipe,
for whatever reason, kills every descendant at once, whatever session or process group it has moved
to. It writes what they print to a log of bounded length.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
EMPTY_LOOKS = 5
HEAD_BYTES, TAIL_BYTES = 2**20, 2**20  # of a log; what it says between them is left out
PIECE_BYTES, PIECES = 2**16, 64  # are read at a time
LIBC = ctypes.CDLL(None, use_errno=True)


def descendants(root: int) -> list[int]:
    """Return every living process below `root`, by parent ids.

    A zombie is none, unless other threads of it run: its children are below it until they end.
    """
    children: dict[int, list[int]] = {}
    dead: set[int] = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text(errors="replace")
            except OSError:
                continue  # it ended while we looked
            fields = stat[stat.rindex(")") + 2 :].split()
            state, parent, threads = fields[0], int(fields[1]), int(fields[17])
            children.setdefault(parent, []).append(int(entry.name))
            if state == "Z" and threads <= 1:
                dead.add(int(entry.name))
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


def kill_all(patience_s: float) -> dict[int, int]:
    """Kill descendants until several looks in a row find none; return exit codes by process id.

    One look is not enough: /proc is not read at one moment, and a process whose parent dies
    meanwhile is seen neither below the one nor, yet, below us. A process may also fork while it is
    being killed.
    """
    exit_codes: dict[int, int] = {}
    deadline = time.monotonic() + patience_s
    empty_looks = 0
    while empty_looks < EMPTY_LOOKS and time.monotonic() < deadline:
        living = descendants(os.getpid())
        empty_looks = 0 if living else empty_looks + 1
        for pid in living:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.02)
        exit_codes |= reap()
    return exit_codes


class Log:
    """A log is what a pipe brings; where it is too long its middle is left out, which it says.

    Args:
        path: Its file.
        pipe: The read end of the pipe.
    """

    def __init__(self, path: Path, pipe: int) -> None:
        self.path, self.pipe = path, pipe
        self.file, self.size, self.left_out = path.open("ab", buffering=0), 0, 0
        self.head = self.cut = b""  # of a log that has been cut
        os.set_blocking(pipe, False)

    def write(self, data: bytes) -> None:
        """Write more; a full disk loses it, and not the server."""
        with contextlib.suppress(OSError):
            self.file.write(data)
        self.size += len(data)
        if self.size > HEAD_BYTES + 2 * TAIL_BYTES:
            self._cut()

    def take(self) -> bool:
        """Write what is there now, but not without end; return whether more may come."""
        for _ in range(PIECES):
            try:
                data = os.read(self.pipe, PIECE_BYTES)
            except BlockingIOError:
                return True
            if not data:
                return False
            self.write(data)
        return True

    def _cut(self) -> None:
        """Leave out all but the head and the tail; readers see the one file or the other."""
        try:
            text = self.path.read_bytes()
            if not self.head:
                head = text[:HEAD_BYTES]
                self.head = head[: head.rfind(b"\n", HEAD_BYTES // 2) + 1] or head
            text = text[len(self.head) + len(self.cut) :]
            tail = text[-TAIL_BYTES:]
            tail = tail[tail.find(b"\n", 0, TAIL_BYTES // 2) + 1 :]
            self.left_out += len(text) - len(tail)
            self.cut = b"\n[%d bytes of this log are left out here]\n" % self.left_out
            draft = self.path.with_suffix(".draft")
            draft.touch(0o600)
            draft.write_bytes(self.head + self.cut + tail)
            draft.replace(self.path)
            self.file.close()
            self.file = self.path.open("ab", buffering=0)
            self.size = os.fstat(self.file.fileno()).st_size
        except OSError:  # a full disk: it is tried again when more has come
            self.size = HEAD_BYTES + TAIL_BYTES


def main(control: int, status_file: Path, log_file: Path, command: list[str]) -> None:
    """Run the command until it ends or the pipe says so; then leave nothing of it behind."""
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.set_inheritable(control, False)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)

    def in_child() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

    reading, writing = os.pipe()
    log = Log(log_file, reading)
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
    exit_codes |= kill_all(8.0)
    log.take()
    report(status_file, exit_codes.get(child.pid, -signal.SIGKILL), is_stop=is_stop)


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
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[5:])
