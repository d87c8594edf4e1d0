"""A page is read whole, or given up: a server may send one that never ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import BinaryIO

import pytest

from objectives.apis import short_requests
from objectives.apis.short_requests import page


@contextmanager
def served(write: Callable[[BinaryIO], object]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            with suppress(OSError):
                write(self.wfile)  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()


def trickle(file: BinaryIO) -> None:
    while True:
        file.write(b"x\n")
        time.sleep(0.05)


def flood(file: BinaryIO) -> None:
    while True:
        file.write(b"x" * 65_536)


def test_a_page_is_its_text_whatever_its_bytes() -> None:
    with served(lambda file: file.write(b"a \xff 1\n")) as url:
        assert page(url) == "a \N{REPLACEMENT CHARACTER} 1\n"


def test_a_page_that_never_ends_is_given_up_in_time() -> None:
    begin_s = time.monotonic()
    with served(trickle) as url:
        assert page(url, within_s=0.5) is None
    assert time.monotonic() - begin_s < 5


def test_a_page_without_bounds_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(short_requests, "MOST_BYTES", 2**20)
    with served(flood) as url:
        assert page(url, within_s=60.0) is None
