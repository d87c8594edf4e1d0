"""A mirror gets a copy of each request; its answers are measured as the server's, and thrown away.

It is the shadow deployment: a second server under the live traffic of the first. Nothing waits for
it: what it cannot take at once is dropped and counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from objectives.capture.exchange import BodyRoom, Exchange, ExchangeEnding
from objectives.capture.splice import CONNECT_S, Address
from objectives.capture.watch import ConnectionWatch

MOST_COPIES = 256  # under way at one time
MOST_BYTES = 64 * 2**20  # of them together
ANSWER_S = 600.0
NOT_COPIED = frozenset(  # they hold for one connection, or are written anew
    b"host connection keep-alive proxy-connection te trailer upgrade http2-settings expect "
    b"content-length transfer-encoding".split()
)


class Mirror:
    """A mirror is a second server that gets a copy of each request.

    Args:
        server: Where it listens.

    Attributes:
        dropped: How many requests it got no copy of.
    """

    def __init__(self, server: Address) -> None:
        self.server, self.dropped = server, 0
        self._bytes = 0
        self._copies: set[asyncio.Task[None]] = set()

    def send(self, exchange: Exchange, done: Callable[[Exchange], None]) -> bool:
        """Send a copy of a request that has come whole; return whether it has left.

        Args:
            exchange: The request, with its body.
            done: It is called with the mirror's own exchange once that has ended.
        """
        size = exchange.request.size
        is_full = len(self._copies) >= MOST_COPIES or self._bytes + size > MOST_BYTES
        if is_full or exchange.request.is_too_large:
            self.dropped += 1
            return False
        self._bytes += size
        copy = copy_of(exchange, self.server.url.partition("://")[2])
        task = asyncio.get_running_loop().create_task(self._send(copy, size, done))
        self._copies.add(task)
        task.add_done_callback(self._copies.discard)
        return True

    async def end(self, wait_s: float) -> None:
        """Wait so long for what is under way, and hang up."""
        if self._copies:
            await asyncio.wait(self._copies, timeout=wait_s)
        for task in list(self._copies):
            task.cancel()
        await asyncio.gather(*self._copies, return_exceptions=True)

    async def _send(self, copy: bytes, size: int, done: Callable[[Exchange], None]) -> None:
        answering = _Answering(copy)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_S):
                await loop.create_connection(lambda: answering, self.server.host, self.server.port)
        except OSError:
            answering.watch.sent(copy)
            answering.watch.no_server()
        try:
            async with asyncio.timeout(ANSWER_S):
                await answering.exchange
        except TimeoutError:
            answering.watch.server_left()
        finally:
            self._bytes -= size
            if answering.transport is not None:
                answering.transport.abort()
        if answering.exchange.done() and not answering.exchange.cancelled():
            done(answering.exchange.result())


class _Answering(asyncio.Protocol):
    """This is the connection of one copy, watched with the eyes that watch the server itself."""

    def __init__(self, copy: bytes) -> None:
        self.copy, self.room = copy, BodyRoom(0)  # no answer is kept
        self.watch = ConnectionWatch(self)
        self.transport: asyncio.Transport | None = None
        self.exchange: asyncio.Future[Exchange] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  what a TCP connection has
        self.transport = transport
        transport.write(self.copy)
        self.watch.sent(self.copy)

    def data_received(self, data: bytes) -> None:
        self.watch.answered(data)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        self.watch.server_left()

    # what a `Listener` is told

    def whole(self, exchange: Exchange) -> None:
        pass

    def ended(self, exchange: Exchange) -> None:
        if not self.exchange.done():
            self.exchange.set_result(exchange)

    def unreadable(self) -> None:
        pass


def copy_of(exchange: Exchange, host: str) -> bytes:
    """Return a request for another server: its own headers, and one connection for it alone."""
    body = exchange.request.bytes()
    kept = [(n, v) for n, v in exchange.headers if n.lower() not in NOT_COPIED]
    own = [
        (b"Host", host.encode()),
        (b"Connection", b"close"),
        (b"Content-Length", b"%d" % len(body)),
    ]
    head = b"".join(b"%s: %s\r\n" % header for header in [*own, *kept])
    first = f"{exchange.method} {exchange.target} HTTP/1.1\r\n".encode("latin-1")
    return b"".join((first, head, b"\r\n", body))


def is_compared(exchange: Exchange) -> bool:
    """Return whether an exchange tells how a server did: it does not where the client left."""
    return exchange.ending not in (ExchangeEnding.CLIENT_LEFT, ExchangeEnding.UNREAD)
