"""HTTP/1.1 for the load generator: a request on a connection of its own, parsed by httptools, with little work a byte.

A general client spends on its connection pool and on each line of a stream what a generator needs to send on time: with
httpx, requests among 500 streams timed out in the client itself (study/guides/measuring.md has the figures).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import cast
from urllib.parse import urlsplit

import httptools

BUFFER_BYTES = 16_384
IDLE_S = 2.0  # a connection that idled longer is not used again: uvicorn hangs up after 5 s


class ConnectError(Exception):
    """Nobody listens there."""


class RemoteProtocolError(Exception):
    """The peer hung up before its answer was whole, or said what is not HTTP."""


class Line(asyncio.BufferedProtocol):
    """A connection, one request at a time; being opened from the start, so that a request leaves at once."""

    def __init__(self, url: str) -> None:
        """Begin to connect; url: scheme, host and port."""
        where = urlsplit(url)
        self.url, self._host = url, where.netloc
        loop = asyncio.get_running_loop()
        self._opening = loop.create_task(
            loop.create_connection(lambda: self, where.hostname or "", where.port or 80)
        )
        self._opening.add_done_callback(
            lambda task: task.cancelled() or task.exception()
        )  # told by `ask`, or by nobody
        self._ended: asyncio.Future[None] = loop.create_future()
        self._buffer = bytearray(BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._transport: asyncio.WriteTransport | None = None
        self.is_idle, self.idle_since = False, 0.0
        self.status, self.refusal, self._is_framed = 0, b"", False

    async def ask(
        self,
        method: str,
        path: str,
        feed: Callable[[bytes], None],
        body: bytes = b"",
        content_type: str = "",
    ) -> int:
        """Send the request; its status, once the answer is whole. What another status than 200 says is `refusal`.

        feed: gets the body piece by piece as it comes; what it raises ends the answer
        raises: ConnectError, RemoteProtocolError
        """
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\nAccept: */*\r\n"
        if body:
            head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        self._parser, self._feed = httptools.HttpResponseParser(self), feed
        if self.is_idle:
            self._ended, self.is_idle = asyncio.get_running_loop().create_future(), False
            self.status, self.refusal, self._is_framed = 0, b"", False
        try:
            transport, _ = await self._opening
        except OSError as error:
            raise ConnectError(error.strerror or str(error)) from error
        transport.write(head.encode() + b"\r\n" + body)
        await self._ended
        return self.status

    def close(self) -> None:
        """Hang up, whatever is still under way."""
        self._opening.cancel()
        if self._transport is not None:
            self._transport.abort()

    def _end(self, error: BaseException | None = None) -> None:
        if self._ended.done():
            return
        if error is None:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(error)
            self._ended.exception()  # told by `ask`, or by nobody

    # asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it, to hang up."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002  asyncio's signature
        """The same for every read: it is parsed before the next one."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Parse what has come."""
        try:
            self._parser.feed_data(self._view[:nbytes])
        except httptools.HttpParserCallbackError as error:
            self._end(error.__context__ or error)
        except httptools.HttpParserError as error:
            self._end(RemoteProtocolError(f"not HTTP: {error}"))

    def connection_lost(self, error: Exception | None) -> None:
        """The end of an answer that has no length, too early for any other."""
        self.is_idle = False
        if error is None and self.status and not self._is_framed:
            self._end()
        self._end(RemoteProtocolError("peer closed connection without sending a complete answer"))

    # httptools calls these

    def on_header(self, name: bytes, value: bytes) -> None:  # noqa: ARG002  httptools' signature
        """Whether the answer tells where it ends."""
        self._is_framed = self._is_framed or name.lower() in (
            b"content-length",
            b"transfer-encoding",
        )

    def on_headers_complete(self) -> None:
        """The status is known."""
        self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        """A piece of the answer."""
        if self.status == 200:
            self._feed(body)
        else:
            self.refusal += body

    def on_message_complete(self) -> None:
        """The answer is whole; the connection may serve another request."""
        self.is_idle, self.idle_since = self._parser.should_keep_alive(), time.monotonic()
        self._end()


class Lines:
    """Connections to the servers of one window, kept between requests."""

    def __init__(self) -> None:
        self._idle: dict[str, list[Line]] = {}

    def line(self, url: str) -> Line:
        """The one that idled least, or a new one."""
        kept = self._idle.setdefault(url, [])
        while kept:
            found = kept.pop()
            if found.is_idle and time.monotonic() - found.idle_since < IDLE_S:
                return found
            found.close()
        return Line(url)

    def give_back(self, line: Line) -> None:
        """After its request; what cannot serve another one is closed."""
        if line.is_idle:
            self._idle.setdefault(line.url, []).append(line)
        else:
            line.close()

    def close(self) -> None:
        """Hang up all that idle."""
        for kept in self._idle.values():
            while kept:
                kept.pop().close()


@contextmanager
def gates(due_s: Sequence[float]) -> Iterator[dict[float, asyncio.Future[None]]]:
    """A future for each of these times (monotonic, seconds) that is done within a fraction of a millisecond of it.

    A thread sleeps until each time, since epoll, and with it asyncio's own timers, count whole milliseconds.
    """
    loop, stopped = asyncio.get_running_loop(), threading.Event()
    made = {at_s: loop.create_future() for at_s in sorted(due_s)}

    def ring() -> None:
        for at_s, gate in made.items():
            if stopped.wait(max(0.0, at_s - time.monotonic())):
                return
            loop.call_soon_threadsafe(_open, gate)

    thread = threading.Thread(target=ring, name="gates", daemon=True)
    thread.start()
    try:
        yield made
    finally:
        stopped.set()
        thread.join()


def _open(gate: asyncio.Future[None]) -> None:
    if not gate.done():
        gate.set_result(None)
