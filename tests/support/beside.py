"""Tests that mostly wait run beside the others of their worker, each in a fork of it.

The marker `waits` says which: a rig boots, a server is given seconds that it will not use, and the
cores are idle meanwhile. Each has all fixtures of its module for itself; those of a module that
says `waits(whole=True)` run in one fork, one after the other. Without workers (`-n 0`) all do.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import pickle
import signal
import tempfile
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import chain, groupby, zip_longest
from typing import IO, Any, NamedTuple, NoReturn

import pytest
from _pytest.runner import runtestprotocol

AT_ONCE = 6  # processes that test, of all workers together: four workers need none beside
LOOK_S = 0.02
PR_SET_PDEATHSIG = 1
OWN = ("generator", "locks")  # fixtures of the session that serve one test at a time

_KEPT: list[object] = []  # what would end with its last name, and is the worker's to end


class Running(NamedTuple):
    """Tests that run in a fork, which writes their reports into a file."""

    items: list[pytest.Item]
    pid: int
    reports: IO[bytes]


class Beside:
    """The tests of this worker that run beside its others, or are to."""

    def __init__(self) -> None:
        workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0"))
        self.most = min(2, AT_ONCE // workers - 1) if workers else 0
        self._due: deque[list[pytest.Item]] = deque()
        self._together: list[pytest.Item] = []
        self._running: list[Running] = []

    def takes(self, item: pytest.Item) -> bool:
        """Return whether a test runs beside the others."""
        return bool(self.most and item.get_closest_marker("waits"))

    def add(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        """Let a test run soon, with those that follow where its module runs as a whole."""
        item.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  # made once
        marker = item.get_closest_marker("waits")
        assert marker is not None
        if "before" in marker.kwargs:
            marker.kwargs["before"]()  # what all of them are to share
        self._together.append(item)
        if nextitem is None or _module(nextitem) is not _module(item):
            self._due.append(self._together)
            self._together = []

    def go_on(self) -> None:
        """Report what has ended, and begin what is due."""
        for test in [*self._running]:
            try:
                pid, status = os.waitpid(test.pid, os.WNOHANG)
            except ChildProcessError:  # a test of this worker has waited for all that there is
                pid, status = test.pid, 0
            if pid:
                self._running.remove(test)
                _report(test, os.waitstatus_to_exitcode(status))
        while self._due and len(self._running) < self.most:
            self._running.append(_begun(self._due.popleft()))

    def finish(self) -> None:
        """Wait for all of them."""
        while self._due or self._running:
            self.go_on()
            time.sleep(LOOK_S)


def spread(items: list[pytest.Item], takes: Callable[[pytest.Item], bool]) -> list[pytest.Item]:
    """Return the tests with those that wait where each worker begins, and modules in one piece."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    others = [item for item in items if not takes(item)]
    modules = [[*group] for _, group in groupby(filter(takes, items), key=_module)]
    parts = list[pytest.Item]()
    for n in range(workers):
        begin, end = (len(others) * m // workers for m in (n, n + 1))
        parts += chain.from_iterable(modules[n::workers])
        parts += others[begin:end]
    return parts


def _module(item: pytest.Item) -> object:
    """Return what a test that waits runs with: its module, or nobody."""
    marker = item.get_closest_marker("waits")
    return item.parent if marker and marker.kwargs.get("whole") else item


def _begun(items: list[pytest.Item]) -> Running:
    reports = tempfile.TemporaryFile()  # noqa: SIM115  until it is read
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _be(items, reports, parent)
    return Running(items, pid, reports)


def _be(items: list[pytest.Item], reports: IO[bytes], parent: int) -> NoReturn:
    """Run tests to their end, and this process with it."""
    gc.freeze()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
    session: Any = items[0].session
    config, state, code = session.config, session._setupstate, 1
    ends: list[Callable[[], object]] = []  # what the worker has registered is to run there
    atexit.register = lambda do, *words, **named: ends.append(partial(do, *words, **named)) or do  # type: ignore[assignment, func-returns-value]
    try:
        assert os.getppid() == parent
        _worker(config).sendevent = lambda *_, **__: None  # its pipe is the worker's
        for node in [*state.stack]:  # what the worker has set up is the worker's to end
            if node is not session:
                del state.stack[node]
        for item in items:
            _forget(item)
        capture = config.pluginmanager.getplugin("capturemanager")
        if capture._global_capturing is not None:
            _KEPT.append(capture._global_capturing)
            capture._global_capturing = None
            capture.start_global_capturing()
        to_data = config.hook.pytest_report_to_serializable
        for item, after in zip(items, [*items[1:], session], strict=True):
            made = runtestprotocol(item, log=False, nextitem=after)
            pickle.dump([to_data(config=config, report=report) for report in made], reports)
        reports.flush()
        code = 0
    except BaseException:
        reports.write(traceback.format_exc().encode())
        reports.flush()
        state.teardown_exact(session)
    finally:
        for end in reversed(ends):
            end()
        os._exit(code)


def _forget(item: pytest.Item) -> None:
    """Let a test have fixtures of its own that are the session's for others, and end none."""
    for name in OWN:
        for fixture in item._fixtureinfo.name2fixturedefs.get(name, ()):  # type: ignore[attr-defined]
            _KEPT.extend(fixture._finalizers)
            fixture._finalizers.clear()
            fixture.cached_result = None


def _report(tests: Running, code: int) -> None:
    """Report tests that have ended as if they had just run."""
    config = tests.items[0].config
    worker, from_data = _worker(config), config.hook.pytest_report_from_serializable
    before = worker.item_index
    with tests.reports as file:
        written, last_words = _written(file)
    for item, data in zip_longest(tests.items, written):
        reports = [from_data(config=config, data=each) for each in data or ()]
        if data is None:
            why = f"the process of this test ended with {code}\n{last_words}"
            reports = [pytest.TestReport(item.nodeid, item.location, {}, "failed", why, "call")]
        worker.item_index = item.session.items.index(item)
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    worker.item_index = before


def _written(file: IO[bytes]) -> tuple[list[Any], str]:
    """Return the reports of each test that came to its end, and what was written after them."""
    file.seek(0)
    whole, end = list[Any](), 0
    with suppress(EOFError, pickle.UnpicklingError):
        while True:
            whole.append(pickle.load(file))
            end = file.tell()
    file.seek(end)
    return whole, file.read().decode(errors="replace")


def _worker(config: pytest.Config) -> Any:
    """Return what speaks for this worker."""
    name = "WorkerInteractor"
    plugins = config.pluginmanager.get_plugins()
    return next(p for p in plugins if type(p).__name__ == name)
