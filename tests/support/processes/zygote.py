"""A zygote is a small process off which fake servers are forked, with what supervises them.

To fork a test's worker takes a twentieth of a second of a core, for the pages of all that it has
imported are noted anew; a zygote has imported only what a fake server and its supervisor run. What
is forked off it is a child of whoever asks, who waits for it as for any other.
"""

from __future__ import annotations

import atexit
import ctypes
import fcntl
import gc
import importlib
import json
import os
import platform
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from processes.forked import PIPES, Forked, arguments, live

SUPPORT, *_, ROOT = Path(__file__).resolve().parents[1:4]
START = (
    f"import sys; sys.path[:0] = [{str(SUPPORT)!r}, {str(ROOT)!r}]; "
    "from processes import zygote; zygote.main(int(sys.argv[1]))"
)
SUPERVISE = "from processes import zygote; zygote.supervise()"
FAKE = SUPPORT / "fake_servers/fakes.py"
KEEPER = ROOT / "objectives/servers/supervision/keeper.py"
PROGRAMS = {  # what runs for a file
    str(FAKE): "from fake_servers import fakes; fakes.main()",
    str(KEEPER): "import sys; from objectives.servers.supervision import keeper; "
    "keeper.main(sys.argv[1:])",
}
CLONE = {"x86_64": 56, "aarch64": 220}  # the number of the system call
CLONE_PARENT = 0x8000
ROOM = 64  # KiB of environment, so that each child can show its own


class Small(subprocess.Popen[bytes]):
    """A child runs the code of `python OPTION... -c CODE ARGUMENT...`, off a zygote."""

    def _execute_child(self, *words: Any) -> None:
        settings = arguments(self, *words)
        ends = [settings[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        wanted = {
            "args": [*map(os.fsdecode, settings["args"])],
            "cwd": str(settings["cwd"] or Path.cwd()),
            "env": dict(settings["env"] or os.environ),
            "start_new_session": settings["start_new_session"],
            "pass_fds": list(settings["pass_fds"]),
            "cores": list(os.sched_getaffinity(0)),
        }
        streams = [number if end == -1 else end for number, end in enumerate(ends)]
        self.pid = _zygote().child(wanted, [*streams, *settings["pass_fds"]])
        self._child_created = True
        self._close_pipe_fds(*(settings[name] for name in PIPES))  # type: ignore[attr-defined]


class Zygote:
    """A zygote forks for its owner, and ends with it."""

    def __init__(self) -> None:
        self.owner, self._lock = os.getpid(), threading.Lock()
        self._socket, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", START, str(its.fileno())],
                stdin=subprocess.DEVNULL,
                env={**os.environ, "ZYGOTE": "." * 1024 * ROOM},
                pass_fds=[its.fileno()],
                start_new_session=True,
            )

    def child(self, wanted: dict[str, Any], files: list[int]) -> int:
        """Return the process id of a new child of this process."""
        with self._lock:
            socket.send_fds(self._socket, [json.dumps(wanted).encode()], files)
            pid = int(self._socket.recv(16) or b"0")
        if pid <= 0:
            raise OSError("the zygote has ended")
        return pid

    def end(self) -> None:
        """End it, unless a fork of its owner asks."""
        if self.owner == os.getpid():
            self._socket.close()
            self._process.wait()


_zygotes: list[Zygote] = []
_starting = threading.Lock()


def _zygote() -> Zygote:
    """Return the zygote of this process, which starts it when it is asked for first."""
    with _starting:
        if not _zygotes or _zygotes[-1].owner != os.getpid():
            _zygotes.append(Zygote())
            atexit.register(_zygotes[-1].end)
        return _zygotes[-1]


def main(number: int) -> None:
    """Fork for each message until the owner has gone."""
    sys.modules["ssl"] = None  # type: ignore[assignment]  # as `fakes`
    for name in ("bounded_log", "cgroup", "container", "keeper", "supervisor"):
        importlib.import_module(f"objectives.servers.supervision.{name}")
    importlib.import_module("fake_servers.fakes")
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=number) as owner:
        while True:
            text, files, _, _ = socket.recv_fds(owner, 1 << 20, 64)
            if not text:
                return
            pid = _sibling()
            if pid == 0:
                _be(json.loads(text), files)
            owner.send(str(pid).encode())
            for file in files:
                os.close(file)


def _sibling() -> int:
    """Fork a child of this process's parent; return as `os.fork`."""
    python: Any = ctypes.pythonapi  # it keeps the interpreter's lock, as a fork must
    python.PyOS_BeforeFork()
    number, flags = CLONE[platform.machine()], CLONE_PARENT | signal.SIGCHLD
    pid: int = python.syscall(number, flags, 0, 0, 0, 0)
    if pid == 0:
        python.PyOS_AfterFork_Child()
    else:
        python.PyOS_AfterFork_Parent()
    return pid


def _be(wanted: dict[str, Any], files: list[int]) -> None:
    """Be the child that was asked for."""
    above = max([*wanted["pass_fds"], *files]) + 1
    ends = [fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, above) for file in files]
    for target, end in zip(wanted["pass_fds"], ends[3:], strict=True):
        os.dup2(end, target)
    os.sched_setaffinity(0, wanted["cores"])
    live({**wanted, "preexec_fn": None}, ends[:3])


def supervise() -> None:
    """Be a supervisor, of which the fake server is a fork, and its keeper."""
    from objectives.servers.supervision import supervisor

    supervisor.subprocess = SimpleNamespace(**vars(subprocess) | {"Popen": _below})  # type: ignore[assignment]
    supervisor.EMPTY_LOOKS = 1  # below a fake server there is nothing that hides
    supervisor.main(sys.argv[1:4], sys.argv[4], sys.argv[5:7], sys.argv[8:])


def _below(line: list[str], **options: Any) -> subprocess.Popen[bytes]:
    for file, code in PROGRAMS.items():
        if file in line[:4]:
            words = [sys.executable, "-c", code, *line[line.index(file) + 1 :]]
            return Forked(words, **options)
    return subprocess.Popen(line, **options)
