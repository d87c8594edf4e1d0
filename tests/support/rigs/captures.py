"""This module runs a capture in a thread, before servers of `fake_upstream`."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from asyncio import unix_events
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_servers.fake_http import free_port
from fake_servers.fake_upstream import WAIT_S, Upstream
from processes.forked import Forked

from objectives.capture import reader, reader_process
from objectives.capture.capture import Route, address, serve
from objectives.capture.tally import Tally
from objectives.capture.trace_file import TraceWriter


@dataclass
class Capture:
    """A capture runs in a thread; its trace and tally are complete once it has ended."""

    path: Path
    routes: list[Route]
    tally: Tally = field(default_factory=Tally)
    sentences: list[str] = field(default_factory=list)
    end: Callable[[], None] = lambda: None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.routes[0].port}"

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    @property
    def missing(self) -> dict[tuple[str, str], int]:
        return {(s, why.value): n for (s, why), n in self.tally.missing.items()}


@contextmanager
def capturing(
    folder: Path, *servers: Upstream, mirror: Upstream | None = None, forks: bool = True
) -> Iterator[Capture]:
    """Capture before the servers into a trace in the folder; the block's end waits for the end.

    Args:
        folder: Where the trace is to lie.
        servers: What is captured.
        mirror: What gets copies.
        forks: Whether the reader is a fork of this process, in place of an interpreter.
    """
    copies = address(mirror.url, "--mirror") if mirror is not None else None
    routes = [Route(address(s.url, "--llm"), free_port(), copies) for s in servers]
    capture = Capture(folder / "trace.jsonl", routes)
    trace = TraceWriter(capture.path, capture.sentences.append)
    ready, failures = threading.Event(), []

    def run() -> None:
        async def until_end() -> None:
            stop, cut = asyncio.Event(), asyncio.Event()
            loop = asyncio.get_running_loop()
            capture.end = lambda: loop.call_soon_threadsafe(stop.set)

            def tell(sentence: str) -> None:
                capture.sentences.append(sentence)
                if len(capture.sentences) == len(routes):
                    ready.set()

            await serve(routes, trace, capture.tally, tell, stop, cut)

        trace.open()
        try:
            asyncio.run(until_end())
        except BaseException as error:  # the test's own thread raises it
            failures.append(error)
        finally:
            trace.close()
            ready.set()

    thread = threading.Thread(target=run)
    with _forked_reader() if forks else nullcontext():
        thread.start()
        assert ready.wait(WAIT_S)
        try:
            yield capture
        finally:
            capture.end()
            thread.join(60)
    assert failures == []


@contextmanager
def _forked_reader() -> Iterator[None]:
    """Fork the reader off this process: as an interpreter it imports for half a second.

    It is not nice, nor does it spare the server of what it asks: nobody else is served.
    """
    code = "from objectives.capture import reader; reader.main()"
    popen = SimpleNamespace(**vars(subprocess) | {"Popen": Forked})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader_process, "COMMAND", (sys.executable, "-c", code))
        patch.setattr(reader, "NICENESS", 0)
        patch.setattr(reader, "PAUSES", 0.0)
        patch.setattr(unix_events, "subprocess", popen)
        yield
