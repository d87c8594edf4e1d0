"""A splice joins a client's connection with one of its own to the server, and changes no byte.

What a client would see of the server itself, it sees here: pieces of a stream as they come, the
server's own errors, timeouts and kept connections; and the server sees a client that hangs up. No
HTTP library between them could alter, buffer or repeat anything. Only where no server answers, the
splice speaks itself: 502 with a sentence.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from objectives.capture.watch import ConnectionWatch

CONNECT_S = 10.0
LINGER_S = 2.0  # a client has so long to read the end of an answer
RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Address:
    """An address is where a server listens.

    Args:
        url: Its scheme, host and port, as a person wrote them.
        host: Its numeric address.
        port: Its port.
    """

    url: str
    host: str
    port: int


class Splice:
    """A splice is one connection of a client.

    Args:
        server: Where the server listens.
        watch: It reads what passes.
        closed: It is called once the client's connection is gone.
    """

    def __init__(
        self, server: Address, watch: ConnectionWatch, closed: Callable[[Splice], None]
    ) -> None:
        self.address, self.watch, self.closed = server, watch, closed
        self.client, self.server = _End(self), _End(self)
        self._early: list[bytes] = []
        self._refusal = ""
        self._opening: asyncio.Task[None] | None = None

    def close(self) -> None:
        """Hang up on both sides once what was written has left."""
        for end in (self.client, self.server):
            if end.transport is not None:
                end.transport.close()

    def abort(self) -> None:
        """Hang up on both sides at once."""
        for end in (self.client, self.server):
            if end.transport is not None:
                end.transport.abort()

    def open(self) -> None:
        """Connect to the server, as the client has connected."""
        self._opening = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_S):
                await loop.create_connection(
                    lambda: self.server, self.address.host, self.address.port
                )
        except OSError as error:  # a TimeoutError is one
            why = os.strerror(error.errno) if error.errno else f"not within {CONNECT_S:g} s"
            self._refusal = f"it takes no connections ({why})"
            if self._early:
                self._refuse()
            elif self.client.has_ended:
                self.close()
        else:
            if self.server.transport is None:
                return
            early, self._early = self._early, []
            for data in early:
                self.server.transport.write(data)
                self.watch.sent(data)
            if self.client.has_ended:
                finish(self.server.transport)
        if self.client.transport is not None and not self.server.is_full:
            self.client.transport.resume_reading()

    def came(self, end: _End, data: bytes) -> None:
        """Pass a piece on, then read it."""
        other = self.server if end is self.client else self.client
        if end is self.server:
            if other.transport is not None and not other.transport.is_closing():
                other.transport.write(data)
            self.watch.answered(data)
        elif self._refusal:
            if not self.client.has_been_told:  # what follows is read and left
                self._early.append(data)
                self._refuse()
        elif other.transport is None:
            self._early.append(data)
            if end.transport is not None:
                end.transport.pause_reading()  # until the server is there
        elif not other.has_ended and not other.transport.is_closing():
            other.transport.write(data)
            self.watch.sent(data)

    def ended(self, end: _End) -> None:
        """Pass on that one side sends no more."""
        other = self.server if end is self.client else self.client
        if end is self.server:
            self._server_left()
        if other.has_ended or self._refusal:
            self.close()
        elif other.transport is not None:
            finish(other.transport)
            if end is self.server:  # what a server has sent before its end is read first
                asyncio.get_running_loop().call_later(LINGER_S, other.transport.close)

    def lost(self, end: _End, error: Exception | None) -> None:
        """Hang up on the other side: as it was done here, with a reset or without."""
        other = self.server if end is self.client else self.client
        if end is self.client:
            self.watch.client_left()
            self.closed(self)
            if self._opening is not None and not self._opening.done():
                self._opening.cancel()
        else:
            self._server_left()
        if other.transport is None or other.transport.is_closing():
            return
        if end is self.client:
            other.transport.abort()
        elif error is None or other.has_been_told:
            other.transport.close()
        else:
            reset(other.transport)

    def _server_left(self) -> None:
        """Note that the server is gone; a first request that got no byte is told so."""
        is_told = bool(self.watch.open) and not self.watch.has_answered
        if self.client.has_ended:
            self.watch.client_left()
        elif is_told:
            self._tell("it hung up before it answered")
        self.watch.server_left()

    def _refuse(self) -> None:
        """Answer the first request in the server's place, and end the connection."""
        client = self.client.transport
        if client is None or client.is_closing():
            return
        for data in self._early:
            self.watch.sent(data)
        self._tell(self._refusal)
        self.watch.no_server()
        self._early.clear()
        finish(client)
        asyncio.get_running_loop().call_later(LINGER_S, client.close)

    def _tell(self, why: str) -> None:
        """Write a 502 in OpenAI's form."""
        client = self.client.transport
        if client is None or client.is_closing():
            return
        message = f"traffic is captured here before the server at {self.address.url}, and {why}"
        error = {"message": message, "type": "bad_gateway", "param": None, "code": 502}
        body = json.dumps({"error": error}).encode()
        head = (
            b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
        )
        is_head = bool(self.watch.open) and self.watch.open[0].method == "HEAD"
        client.write(head if is_head else head + body)
        self.client.has_been_told = True


class _End(asyncio.Protocol):
    """An end is one of the two of a splice: asyncio calls it, and it calls the splice."""

    def __init__(self, splice: Splice) -> None:
        self.splice = splice
        self.transport: asyncio.Transport | None = None
        self.has_ended = self.has_been_told = self.is_full = False

    @property
    def other(self) -> _End:
        """Return the other end."""
        return self.splice.server if self is self.splice.client else self.splice.client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  what a TCP connection has
        self.transport = transport
        if self is self.splice.client:
            self.splice.open()

    def data_received(self, data: bytes) -> None:
        self.splice.came(self, data)

    def eof_received(self) -> bool:
        self.has_ended = True
        self.splice.ended(self)
        return True  # the other direction stays open

    def connection_lost(self, error: Exception | None) -> None:
        self.splice.lost(self, error)

    def pause_writing(self) -> None:
        """Read no faster from the one than the other takes."""
        self.is_full = True
        if self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        self.is_full = False
        if self.other.transport is not None:
            self.other.transport.resume_reading()


def finish(transport: asyncio.Transport) -> None:
    """Say that no more will be sent; whoever has gone by then needs not be told."""
    if not transport.is_closing():
        with contextlib.suppress(OSError):
            transport.write_eof()


def reset(transport: asyncio.Transport) -> None:
    """End a connection with a reset, so that nobody takes what was sent for all."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    transport.abort()
