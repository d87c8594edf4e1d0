"""This module forks a Python program off the process of a test, which has imported what it needs.

A lane, a load generator or a turn takes a second of a core to import what it runs, and a test
starts several. A fork is a process as any other, with pipes, signals and an exit code of its own;
that the programs start as interpreters too is shown by the tests of their commands.
"""

from __future__ import annotations

import contextvars
import ctypes
import faulthandler
import gc
import inspect
import logging
import os
import signal
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fakes
import pytest

from objectives.apis.short_requests import certificates
from objectives.load.sending import process as sending
from objectives.servers import process as servers
from objectives.servers.supervision import keeper, supervisor
from objectives.servers.supervision.guard import SUPERVISOR
from study.dream.rotation import turn_process
from study.lanes import process as lanes

_FORKED = {  # what runs for a file
    str(fakes.FAKE): "import fakes; fakes.main()",
    str(supervisor.KEEPER): "import forks; forks.keep()",
}
# what this worker began with comes last in what a fork shows: there is no more room than for that
_FIRST = {*Path("/proc/self/environ").read_bytes().split(b"\0")}
_KEPT: list[object] = []  # what would close its file, which has another's number now


class Forked(subprocess.Popen[bytes]):
    """A child that runs the code of `python OPTION... -c CODE ARGUMENT...` as a fork."""

    def _execute_child(self, *words: Any) -> None:
        signature = inspect.signature(subprocess.Popen._execute_child)  # type: ignore[attr-defined]
        given = signature.bind(self, *words).arguments
        ends = [given[n] for n in ("p2cread", "c2pwrite", "errwrite")]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # other threads of pytest wait for its own pipes
            self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                _begin(given, ends)
                code = contextvars.Context().run(_run, [*map(os.fsdecode, given["args"])])
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        self._child_created = True
        pipes = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*(given[name] for name in pipes))  # type: ignore[attr-defined]


def _begin(given: Mapping[str, Any], ends: Sequence[int]) -> None:
    """Leave behind what a fresh interpreter would not have of this process."""
    gc.freeze()  # as _KEPT
    faulthandler.disable()
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if given["start_new_session"]:
        os.setsid()
    for number, end in enumerate(ends):
        if end != -1:
            os.dup2(end, number)
    for low, high in pairwise(sorted({2, *given["pass_fds"], os.sysconf("SC_OPEN_MAX")})):
        os.closerange(low + 1, high)
    os.chdir(given["cwd"] or ".")
    if given["preexec_fn"] is not None:
        given["preexec_fn"]()
    if given["env"] is not None:
        os.environ.clear()
        os.environ.update(given["env"])
        _show(given["env"])
    warnings.resetwarnings()
    warnings.simplefilter("ignore")
    sys.excepthook, sys.unraisablehook = sys.__excepthook__, sys.__unraisablehook__
    threading.excepthook = threading.__excepthook__
    _KEPT.extend((sys.stdin, sys.stdout, sys.stderr, *logging.getLogger().handlers))
    logging.getLogger().handlers.clear()
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, closefd=False)  # noqa: SIM115
        for number, mode in enumerate("rww")
    )


def _show(env: Mapping[str, str]) -> None:
    """Let /proc say this environment, the newest first, as that of a fresh program."""
    ours = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = map(int, ours[47:49])
    entries = [os.fsencode(f"{name}={value}") for name, value in reversed(env.items())]
    entries.sort(key=_FIRST.__contains__)
    shown = b"\0".join(entries)[: end - start - 1]
    ctypes.memset(start, 0, end - start)  # all of it was copied when Python began
    ctypes.memmove(start, shown, len(shown))


def _run(words: list[str]) -> int:
    """Run the code of a command line, and return its exit code."""
    place = words.index("-c")
    sys.argv = ["-c", *words[place + 2 :]]
    try:
        exec(words[place + 1], {"__name__": "__main__"})
        code: object = 0
    except SystemExit as ending:
        code = ending.code or 0
        if isinstance(code, str):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    return int(str(code))


def script(name: str, *arguments: object) -> list[str]:
    """Return the command line by which `Forked` runs a command of scripts/."""
    code = f"from commands import main_of; main_of({name!r})()"
    return [sys.executable, "-c", code, *map(str, arguments)]


def forking(patch: pytest.MonkeyPatch) -> None:
    """Let lanes, load generators and turns be forks of whoever starts them."""
    certificates()  # they find imported what the first request to a server needs
    for module in (lanes, sending):
        patch.setattr(module, "subprocess", _with(Forked))
    patch.setattr(turn_process, "subprocess", _with(_supervised))


def forking_servers(patch: pytest.MonkeyPatch) -> None:
    """Let fake servers be forks, and what supervises them."""
    patch.setattr(servers, "subprocess", _with(_served))


def supervise() -> None:
    """Be a supervisor, of which the turn or the fake server is a fork, and its keeper."""
    supervisor.subprocess = _with(_below)  # type: ignore[assignment]
    supervisor.main(sys.argv[1:4], sys.argv[4], sys.argv[5:7], sys.argv[8:])


def keep() -> None:
    """Be the keeper of a supervisor."""
    keeper.main(sys.argv[1:])


def _served(line: list[str], **options: Any) -> subprocess.Popen[bytes]:
    start: Any = _supervised if str(fakes.FAKE) in line else subprocess.Popen
    server: subprocess.Popen[bytes] = start(line, **options)
    return server


def _supervised(line: list[str], **options: Any) -> subprocess.Popen[bytes]:
    if (file := str(SUPERVISOR)) not in line[:4]:  # it is in a scope or a namespace
        return subprocess.Popen(line, **options)
    code = "import forks; forks.supervise()"
    return Forked([sys.executable, "-c", code, *line[line.index(file) + 1 :]], **options)


def _below(line: list[str], **options: Any) -> subprocess.Popen[bytes]:
    if turn_process.CODE in line:
        return Forked(line, **options)
    for file, code in _FORKED.items():
        if file in line[:4]:
            words = [sys.executable, "-c", code, *line[line.index(file) + 1 :]]
            return Forked(words, **options)
    return subprocess.Popen(line, **options)


def _with(start: object) -> SimpleNamespace:
    """Return the module `subprocess` with another Popen."""
    return SimpleNamespace(**vars(subprocess) | {"Popen": start})
