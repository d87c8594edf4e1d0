"""A capture writes the traffic before one server or two as one trace, until it is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from objectives.capture.exchange import BodyRoom
from objectives.capture.ledger import ExchangeLedger
from objectives.capture.mirror import Mirror
from objectives.capture.reader_process import ReaderProcess
from objectives.capture.splice import Address, Splice
from objectives.capture.tally import Tally
from objectives.capture.trace_file import TraceWriter
from objectives.capture.watch import ConnectionWatch
from objectives.errors import BadInput, SetupError
from objectives.waiting import SIGNALS

HOST = "127.0.0.1"
DRAIN_S = 30.0  # open answers have so long at the end
ABOVE = 10_000  # the port of a proxy is so far above its server's


@dataclass(frozen=True, slots=True)
class Route:
    """A route is one server before which traffic is captured.

    Args:
        server: Where it listens.
        port: The port of this machine's loopback on which its clients are taken.
        mirror: Where a second server listens that gets copies; None for nowhere.
    """

    server: Address
    port: int
    mirror: Address | None = None


def address(url: str, option: str) -> Address:
    """Return where a server listens that a person named, after it has taken a connection.

    Raises:
        BadInput: It is no URL of a server.
        SetupError: Nobody listens there.
    """
    wrong = f"{option} {url[:200]!r} is no address of a server"
    try:
        parts = urlsplit(url)
        port = parts.port or 80
    except ValueError as error:
        raise BadInput(f"{wrong} ({error}); write such as http://127.0.0.1:8000") from error
    is_plain = url.isprintable() and " " not in url
    if (
        not is_plain
        or parts.scheme != "http"
        or not parts.hostname
        or parts.username
        or parts.query
    ):
        raise BadInput(f"{wrong}; write plain http, such as http://127.0.0.1:8000")
    if parts.path not in ("", "/") or parts.fragment:
        raise BadInput(f"{wrong}; leave {parts.path or parts.fragment} out: clients name the path")
    try:
        with socket.create_connection((parts.hostname, port), timeout=10) as connection:
            host = str(connection.getpeername()[0])
    except (OSError, UnicodeError) as error:
        number = error.errno if isinstance(error, OSError) else None
        why = os.strerror(number) if number is not None and number > 0 else error
        raise SetupError(
            f"{option}: no server takes connections at {url} ({why}); start it first"
        ) from error
    return Address(f"http://{parts.netloc}", host, port)


def route(server: str, port: int | None, mirror: str | None, option: str) -> Route:
    """Return the route before a server that a person named.

    Args:
        server: The server's URL.
        port: The port to listen on; None takes the server's and `ABOVE`.
        mirror: The URL of a server that gets copies; None for none.
        option: The option that named the server, such as `--llm`.

    Raises:
        BadInput: A URL or a port cannot be.
        SetupError: Nobody listens at a URL.
    """
    at = address(server, option)
    own = at.port + ABOVE if port is None else port
    if not 0 < own < 2**16:
        raise BadInput(f"{option}-port must be from 1 to 65535, not {own}; name one")
    to = address(mirror, "--mirror") if mirror is not None else None
    if to is not None and (to.host, to.port) == (at.host, at.port):
        raise BadInput(f"--mirror {mirror} is the server itself; name a second one")
    if any(a is not None and (a.host, a.port) == (HOST, own) for a in (at, to)):
        raise BadInput(f"{option}-port {own} is the server's own; name a free one")
    return Route(at, own, to)


def capture(
    routes: Sequence[Route],
    path: Path,
    for_s: float | None,
    tell: Callable[[str], None],
) -> Tally:
    """Capture until Ctrl-C, SIGTERM, SIGHUP or the end of the time, and return what was counted.

    Args:
        routes: The servers, each with its port.
        path: The trace to write; it must not exist.
        for_s: How long, seconds; None for no end.
        tell: It is called with a sentence once traffic is taken, and where something goes wrong.

    Raises:
        BadInput: The trace is there already, or cannot be made.
        SetupError: A port is taken.
    """
    trace, tally = TraceWriter(path, tell), Tally()
    trace.open()
    try:
        _allow_connections()
        asyncio.run(_until_a_signal(routes, trace, tally, for_s, tell))
    finally:
        trace.close()
    return tally


async def _until_a_signal(
    routes: Sequence[Route],
    trace: TraceWriter,
    tally: Tally,
    for_s: float | None,
    tell: Callable[[str], None],
) -> None:
    """Serve; the first signal ends it, and the second does not wait for open answers."""
    stop, cut = asyncio.Event(), asyncio.Event()

    def came() -> None:
        if stop.is_set():
            cut.set()
        stop.set()

    for number in (n for n in SIGNALS if signal.getsignal(n) is not signal.SIG_IGN):
        asyncio.get_running_loop().add_signal_handler(number, came)
    if for_s is not None:
        asyncio.get_running_loop().call_later(for_s, stop.set)
    await serve(routes, trace, tally, tell, stop, cut)


async def serve(
    routes: Sequence[Route],
    trace: TraceWriter,
    tally: Tally,
    tell: Callable[[str], None],
    stop: asyncio.Event,
    cut: asyncio.Event,
) -> None:
    """Take connections until `stop`, then let what is open end, unless it is cut.

    Raises:
        SetupError: A port is taken.
    """
    reader, room, splices = ReaderProcess(), BodyRoom(), set[Splice]()
    ledgers: list[ExchangeLedger] = []
    async with contextlib.AsyncExitStack() as stack:
        for one in routes:
            mirror = Mirror(one.mirror) if one.mirror is not None else None
            ledgers.append(ExchangeLedger(one.server, mirror, room, reader, trace, tally))
            await stack.enter_async_context(await _listen(one, ledgers[-1], splices))
        await reader.start()
        for one in routes:
            tell(f"http://{HOST}:{one.port} takes the place of {one.server.url}")
        await stop.wait()
    await _drain(splices, cut, tell)
    for ledger in ledgers:
        await ledger.end()
    await reader.end()


async def _listen(one: Route, ledger: ExchangeLedger, splices: set[Splice]) -> _Listening:
    def joined() -> asyncio.Protocol:
        splice = Splice(one.server, ConnectionWatch(ledger), splices.discard)
        splices.add(splice)
        return splice.client

    try:
        server = await asyncio.get_running_loop().create_server(
            joined, HOST, one.port, backlog=1024
        )
    except OSError as error:
        raise SetupError(
            f"port {one.port} cannot be used ({error.strerror}); "
            "name another with --llm-port or --stt-port"
        ) from error
    return _Listening(server)


class _Listening(contextlib.AbstractAsyncContextManager["_Listening"]):
    """While it is entered a port takes connections; those that were taken go on at its end."""

    def __init__(self, server: asyncio.Server) -> None:
        self.server = server

    async def __aexit__(self, *error: object) -> None:
        self.server.close()


async def _drain(splices: set[Splice], cut: asyncio.Event, tell: Callable[[str], None]) -> None:
    """Hang up where nothing is under way, and give open answers their time."""
    deadline_s = asyncio.get_running_loop().time() + DRAIN_S
    is_told = False
    while splices and not cut.is_set() and asyncio.get_running_loop().time() < deadline_s:
        for splice in list(splices):
            if splice.watch.is_idle:
                splice.close()
        await asyncio.sleep(0.05)
        if splices and not is_told:
            tell(f"{len(splices)} connections still carry answers; Ctrl-C again cuts them")
            is_told = True
    for splice in list(splices):
        splice.abort()
    await asyncio.sleep(0)


def _allow_connections() -> None:
    """Let the process have as many connections as it may: each client needs two."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
