"""The load generator's HTTP client is written by hand: httpx itself timed out among 500 streams.

A general client spends on its connection pool and on each line of a stream what a generator needs
to send on time (study/guides/measuring.md has the figures). This one parses HTTP/1.1 by httptools,
with little work a byte.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

import httptools

BUFFER_BYTES = 16_384
MOST_REFUSAL = 2**16  # bytes of an answer with another status
MOST_BESIDE = 2**16  # bytes of an answer that are none of its body: a head without end, trailers
BESIDE = 16  # and so many more for each byte of the body: chunks may be small
IDLE_S = 2.0  # a connection that idled longer is not used again: uvicorn hangs up after 5 s


class ConnectError(Exception):
    """Nobody listens at that address."""


class RemoteProtocolError(Exception):
    """The peer hung up before its answer was whole, or sent what is not HTTP."""


class StaleLineError(RemoteProtocolError):
    """The peer had ended a kept connection before a request on it was answered with a byte.

    Some servers end it right behind an answer without a word that they will (llama.cpp's, behind a
    stream); as in a browser, the request is then sent again on a new one (RFC 9112, 9.3.1).
    """


class HttpLine(asyncio.BufferedProtocol):
    """A line is one connection, which carries one request at a time.

    It opens from the start, so that a request leaves at once.

    Args:
        url: The server's scheme, host and port.

    Attributes:
        is_idle: Whether it may carry another request.
        idle_since: The time of its last answer, on the monotonic clock.
        status: The status of the current answer; 0 before it.
        refusal: The body of an answer with another status than 200.
    """

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        self.url, self._host = url, where.netloc
        loop = asyncio.get_running_loop()
        self._opening = loop.create_task(
            loop.create_connection(lambda: self, where.hostname or "", where.port or 80)
        )
        # its failure is raised by `ask`, or of no interest
        self._opening.add_done_callback(lambda task: task.cancelled() or task.exception())
        self._ended: asyncio.Future[None] = loop.create_future()
        self._buffer = bytearray(BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._transport: asyncio.WriteTransport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._feed: Callable[[bytes], None] = lambda _: None
        self.is_idle, self.idle_since = False, 0.0
        self._is_kept = self._is_heard = False
        self._begin()

    def _begin(self) -> None:
        self.status, self.refusal, self._is_framed = 0, b"", False
        self._beside_bytes = self._body_bytes = 0

    async def ask(
        self,
        method: str,
        path: str,
        feed: Callable[[bytes], None],
        body: bytes = b"",
        content_type: str = "",
    ) -> int:
        """Send a request, and return its status once the answer is whole.

        Args:
            method: The method, e.g. `POST`.
            path: The path on the server.
            feed: It gets the body of a 200 piece by piece as it comes; what it raises ends the
                answer.
            body: The body of the request.
            content_type: The content type of that body.

        Raises:
            ConnectError: Nobody listens.
            StaleLineError: It was kept after another answer, and the peer had ended it.
            RemoteProtocolError: The peer hung up early, or sent what is not HTTP.
        """
        self._is_kept, self._is_heard = self._ended.done(), False
        if self._is_kept and not self.is_idle:
            raise StaleLineError("the peer had ended the connection")
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\nAccept: */*\r\n"
        if body:
            head += f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        self._parser, self._feed = httptools.HttpResponseParser(self), feed
        if self.is_idle:
            self._ended, self.is_idle = asyncio.get_running_loop().create_future(), False
            self._begin()
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
            self._ended.exception()  # marks it as read: `ask` raises it, or nobody waits

    # asyncio calls these

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, to hang up."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002  asyncio's signature
        """Return the same buffer for every read: it is parsed before the next one."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Parse the bytes that have come; what nobody asked for ends the connection's use."""
        self._is_heard = True
        if self._ended.done():
            self.is_idle = False
            return
        body_bytes = self._body_bytes
        try:
            self._parser.feed_data(self._view[:nbytes])
        except httptools.HttpParserCallbackError as error:
            self._end(error.__context__ or error)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._end(RemoteProtocolError(f"not HTTP: {error}"))
        self._beside_bytes += nbytes - (self._body_bytes - body_bytes)
        if self._beside_bytes > MOST_BESIDE + BESIDE * self._body_bytes:
            self._end(RemoteProtocolError("not HTTP: a head without end"))

    def connection_lost(self, error: Exception | None) -> None:
        """End an answer: it is whole without a length, and cut off with one."""
        self.is_idle = False
        if self._is_kept and not self._is_heard:
            self._end(StaleLineError("the peer had ended the connection"))
        if error is None and self.status and not self._is_framed:
            self._end()
        self._end(RemoteProtocolError("peer closed connection without sending a complete answer"))

    # httptools calls these

    def on_header(self, name: bytes, value: bytes) -> None:  # noqa: ARG002  httptools' signature
        """Note whether the answer tells where it ends."""
        self._is_framed = self._is_framed or name.lower() in (
            b"content-length",
            b"transfer-encoding",
        )

    def on_headers_complete(self) -> None:
        """Keep the status; a second answer to one request is none."""
        if self._ended.done():
            self.is_idle = False
        else:
            self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        """Pass on a piece of the answer, or keep it as the refusal."""
        self._body_bytes += len(body)
        if self._ended.done():
            return
        if self.status == 200:
            self._feed(body)
        elif self._body_bytes > MOST_REFUSAL:
            self.refusal += body[: MOST_REFUSAL - len(self.refusal)]
            self._end()  # what follows is not waited for, and the connection carries no other
        else:
            self.refusal += body

    def on_message_complete(self) -> None:
        """End the answer; the connection may carry another request."""
        if self._ended.done():
            return
        if self.status < 200:  # an interim one, such as 100: the answer itself follows
            self.status, self._is_framed = 0, False
            return
        self.is_idle, self.idle_since = self._parser.should_keep_alive(), time.monotonic()
        self._end()


class HttpLines:
    """HttpLines are the connections to the servers of one plan, kept between requests."""

    def __init__(self) -> None:
        self._idle: dict[str, list[HttpLine]] = {}

    def line(self, url: str) -> HttpLine:
        """Return the connection that idled least, or a new one."""
        idle = self._idle.setdefault(url, [])
        while idle:
            line = idle.pop()
            if line.is_idle and time.monotonic() - line.idle_since < IDLE_S:
                return line
            line.close()
        return HttpLine(url)

    def give_back(self, line: HttpLine) -> None:
        """Take a connection back after its request; one that cannot carry another is closed."""
        if line.is_idle:
            self._idle.setdefault(line.url, []).append(line)
        else:
            line.close()

    def close(self) -> None:
        """Hang up all idle connections."""
        for idle in self._idle.values():
            while idle:
                idle.pop().close()
