"""A fork of a process begins as a fresh interpreter would, with pipes, signals and an exit code.

It uses the standard library alone, for a zygote forks too.
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
from typing import Any, NoReturn

PIPES = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
# what this worker began with comes last in what a fork shows: there is no more room than for that
_FIRST = {*Path("/proc/self/environ").read_bytes().split(b"\0")}
_KEPT: list[object] = []  # what would close its file, which has another's number now


class Forked(subprocess.Popen[bytes]):
    """A child runs the code of `python OPTION... -c CODE ARGUMENT...` as a fork."""

    def _execute_child(self, *words: Any) -> None:
        settings = arguments(self, *words)
        ends = [settings[n] for n in ("p2cread", "c2pwrite", "errwrite")]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # other threads of pytest wait for its own pipes
            self.pid = os.fork()
        if self.pid == 0:
            live(settings, ends)
        self._child_created = True
        self._close_pipe_fds(*(settings[name] for name in PIPES))  # type: ignore[attr-defined]


def arguments(*words: Any) -> Mapping[str, Any]:
    """Return by its name what `Popen` starts a child with."""
    signature = inspect.signature(subprocess.Popen._execute_child)  # type: ignore[attr-defined]
    return signature.bind(*words).arguments


def live(settings: Mapping[str, Any], ends: Sequence[int]) -> NoReturn:
    """Be the child, to its end.

    Args:
        settings: The `arguments`.
        ends: What are to be its standard streams; -1 where one stays as it is.
    """
    code = 1
    try:
        _begin(settings, ends)
        words = [*map(os.fsdecode, settings["args"])]
        place = words.index("-c")
        code = contextvars.Context().run(run_code, words[place + 1], words[place + 2 :])
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _begin(settings: Mapping[str, Any], ends: Sequence[int]) -> None:
    """Leave behind what a fresh interpreter would not have of this process."""
    gc.freeze()  # as _KEPT
    faulthandler.disable()
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if settings["start_new_session"]:
        os.setsid()
    for number, end in enumerate(ends):
        if end != -1:
            os.dup2(end, number)
    for low, high in pairwise(sorted({2, *settings["pass_fds"], os.sysconf("SC_OPEN_MAX")})):
        os.closerange(low + 1, high)
    os.chdir(settings["cwd"] or ".")
    if settings["preexec_fn"] is not None:
        settings["preexec_fn"]()
    if settings["env"] is not None:
        os.environ.clear()
        os.environ.update(settings["env"])
        _show(settings["env"])
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


def run_code(text: str, arguments: Sequence[str]) -> int:
    """Run `-c TEXT ARGUMENT...` as an interpreter would, and return its exit code."""
    sys.argv = ["-c", *arguments]
    try:
        exec(text, {"__name__": "__main__"})
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
