"""A server process lives as long as a `with` block; its supervisor outlives a killed study."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from objectives import waiting
from objectives.apis.short_requests import Refused
from objectives.diagnosis.log import read_log
from objectives.engines.command import Command
from objectives.errors import ServerDied, StartTimeout
from objectives.plain_data.atomic import write_atomic
from objectives.plain_data.by_type import mapping_of
from objectives.servers.ports import claimed_port
from objectives.servers.supervision import cgroup, container
from objectives.servers.supervision.guard import guard, supervised
from objectives.servers.supervision.supervisor import MARK

TENANT = "tenant-"  # begins the name of what stands in for a neighbour
READABLE = {"SPT_NOENV": "1"}  # else setproctitle (vLLM's engine) writes its title over the mark
STOP_GRACE_S = 4.0  # vLLM needs 2 once it is up, and hears nothing while it starts
READY_LOOK_S = 0.25
PRIVATE = 0o600  # a server may log its keys


@dataclass(frozen=True, slots=True)
class Server:
    """A server is a process that runs and was ready.

    Args:
        name: Its name, for people.
        url: Its address on 127.0.0.1.
        log: The file that holds its output.
        pid: The process id of its supervisor.
        start_s: The time from its launch until it was ready, seconds.
    """

    name: str
    url: str
    log: Path
    pid: int
    start_s: float
    _supervisor: subprocess.Popen[bytes]
    _status: Path

    @property
    def alive(self) -> bool:
        """Return whether the server's main process still runs."""
        return self._supervisor.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Return the server's own exit code, negative for a signal; None while it runs."""
        return _exit_code(self._supervisor, self._status)

    def log_text(self) -> str:
        """Return what the server has written so far, cut in the middle where that is too much."""
        return read_log(self.log)


@contextmanager
def serving(
    name: str, command: Command, *, log: Path, ready: Callable[[str, float], bool]
) -> Iterator[Server]:
    """Start a server, wait until it is ready, and stop it with all its descendants at the end.

    Args:
        name: Its name, for people and in its mark.
        command: Its command line and environment.
        log: The file for its output.
        ready: Called with the server's url, and the seconds within which it answers, about four
            times a second until it is true.

    Raises:
        ServerDied: It ended before it was ready.
        StartTimeout: It was not ready within `command.start_timeout_s`.
    """
    with claimed_port() as port, _served(name, command, port, log, ready) as server:
        yield server


@contextmanager
def _served(
    name: str, command: Command, port: int, log: Path, ready: Callable[[str, float], bool]
) -> Iterator[Server]:
    log.parent.mkdir(parents=True, exist_ok=True)
    mark = f"{name}-{uuid.uuid4().hex}"
    status, record = log.with_suffix(".exit"), log.with_suffix(".running.json")
    status.unlink(missing_ok=True)
    started = time.monotonic()
    reading, writing = os.pipe()
    words, id_file = container.with_id_file(command.with_port(port), log.with_suffix(".cid"))
    launched: tuple[str, str] = ("", "")
    if id_file is not None:
        id_file.unlink(missing_ok=True)  # who runs a container writes over none
        launched = words[0], str(id_file)
    argv = supervised(guard(), (reading, status, log), mark, words, launched)
    try:
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE), "wb") as out:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **command.env, MARK: mark, **READABLE},
                pass_fds=[reading],
                start_new_session=True,
            )
    except OSError:
        os.close(writing)
        raise
    finally:
        os.close(reading)
    try:
        launch = {"mark": mark, "pid": process.pid, "command": str(command), "container": launched}
        write_atomic(record, json.dumps(launch), mode=PRIVATE)
        url = f"http://127.0.0.1:{port}"
        deadline, why = started + command.start_timeout_s, ""
        while True:
            left_s = deadline - time.monotonic()
            try:
                is_ready = left_s > 0 and ready(url, left_s) and time.monotonic() <= deadline
            except Refused as refused:
                is_ready, why = False, str(refused)
            if process.poll() is not None:
                raise ServerDied(name, log, _exit_code(process, status))
            if is_ready:
                break
            if time.monotonic() > deadline:
                raise StartTimeout(name, log, command.start_timeout_s, why)
            waiting.sleep(READY_LOOK_S)
        yield Server(name, url, log, process.pid, time.monotonic() - started, process, status)
    finally:
        _stop(process, writing)
        if not status.exists():  # the supervisor was killed: what it adopted has no other end
            _end(mark, launched)
        if id_file is not None:
            id_file.unlink(missing_ok=True)
        record.unlink(missing_ok=True)


def _stop(process: subprocess.Popen[bytes], writing: int) -> None:
    try:
        os.write(writing, f"stop {STOP_GRACE_S:g}\n".encode())
        _wait(process, STOP_GRACE_S + 2)
    except (BrokenPipeError, subprocess.TimeoutExpired):
        pass  # closing the pipe below is the stronger word
    finally:
        os.close(writing)
    _wait(process, 20.0)


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait as `process.wait` does, which looks 20 times a second; this returns with the end."""
    until_s = time.monotonic() + seconds
    with suppress(OSError):  # it has been waited for, or the kernel is old
        end = os.pidfd_open(process.pid)
        try:
            poll = select.poll()
            poll.register(end, select.POLLIN)
            poll.poll(1000 * seconds)
        finally:
            os.close(end)
    process.wait(max(until_s - time.monotonic(), 0.01))


def _exit_code(process: subprocess.Popen[bytes], status: Path) -> int | None:
    if process.poll() is None:
        return None
    try:
        return int(json.loads(status.read_text())["exit_code"])
    except FileNotFoundError:
        return process.returncode  # the supervisor itself was killed


def marked(mark: str) -> list[int]:
    """Return the processes whose environment carries this mark, whoever their parents are now."""
    needle = f"{MARK}={mark}".encode()
    pids = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if needle in (entry / "environ").read_bytes().split(b"\0"):
                    pids.append(int(entry.name))
            except OSError:
                continue  # ended, or another user's
    return pids


def reap_left_behind(folder: Path) -> list[str]:
    """Kill what a dead study left running below `folder`; return a sentence for each server."""
    sentences = []
    for record in sorted(folder.rglob("*.running.json")):
        try:
            launch = mapping_of(json.loads(record.read_text(errors="replace")))
            mark, words = str(launch["mark"]), [str(w) for w in launch.get("container", ("", ""))]
        except (ValueError, KeyError, TypeError, RecursionError):
            record.unlink(missing_ok=True)
            continue
        if what := _end(mark, words):
            sentences.append(
                f"ended a server left behind by an earlier run ({what}, {record.name})"
            )
        record.unlink(missing_ok=True)
    return sentences


def _end(mark: str, launched: Sequence[str]) -> str:
    """End all that is left of a launch; return what it was, in a word or two; empty for nothing.

    Args:
        mark: The launch's.
        launched: The program that runs a container and the file of its id; empty words without.
    """
    pids = _kill_marked(mark)
    what = f"process {pids[0]}" if pids else ""
    if re.fullmatch(r"[\w.-]+", mark):
        for folder in cgroup.of_name(mark):
            if cgroup.end(folder, 10.0):
                what = what or "processes without its mark"
    was_container = len(launched) == 2 and container.end(*launched)
    return what or "a container" * was_container


def _kill_marked(mark: str) -> list[int]:
    """Kill every process with this mark until none is left; return those of the first look."""
    first = pids = marked(mark)
    deadline = time.monotonic() + 10.0
    while pids and time.monotonic() < deadline:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.2)
        pids = marked(mark)
    return first
