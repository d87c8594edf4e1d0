"""A listener takes connections of callers, and wakes the server behind it for their requests."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import resource
import signal
import time

from objectives.on_demand.caller import ANSWER_S, PIECE, Caller, head_of
from objectives.on_demand.woken_server import ServerEnded, WokenServer

STATE, SLEEP = b"GET /on-demand/state ", b"POST /on-demand/sleep "
AWAKE = b"POST /on-demand/awake "  # wakes the server, which then stays so until it is told to sleep
PAGE = "/on-demand/page"
PAGE_S = 10.0
BACKLOG, SPARE = 64, 128  # connections that are taken at once; files that are not for callers
MOST_FILES = 2**14


class Listener:
    """A listener wakes one server.

    Args:
        server: The server.
        idle_s: The time without a request after which it sleeps, seconds.
    """

    def __init__(self, server: WokenServer, idle_s: float) -> None:
        self.server, self.idle_s = server, idle_s
        self._callers: set[Caller] = set()
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        files = MOST_FILES if soft == resource.RLIM_INFINITY else min(soft, MOST_FILES)
        self._most = max(8, (files - SPARE) // 2)  # callers, each with two connections
        self._lock = asyncio.Lock()  # of what wakes it or lets it sleep
        self._stays_awake = False
        self._last = time.monotonic()
        self._tasks: set[asyncio.Task[None]] = set()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until either side ends it."""
        if len(self._callers) >= self._most:
            self._hang_up()
        caller = Caller(writer, time.monotonic())
        self._callers.add(caller)
        try:
            data = await head_of(reader)
            if data.startswith((STATE, SLEEP, AWAKE)):
                await self._tell(data, writer)
                return
            if data.startswith(f"GET {PAGE}/".encode()):
                await self._show(data.split(b" ", 2)[1].removeprefix(PAGE.encode()), writer)
                return
            while data:
                caller.is_asking, caller.active_s = True, time.monotonic()
                self._last = caller.active_s
                up = await self._up(caller)
                up.write(data)
                await up.drain()
                data = await reader.read(PIECE)
            await self._await_answer(caller)
        except ServerEnded as ended:
            self.server.finish(ended)
        except (OSError, asyncio.CancelledError):
            pass  # one of them hung up, or the front ends, and so do we
        finally:
            self._callers.discard(caller)
            for end in (writer, caller.up):
                if end is not None:
                    end.close()

    def _hang_up(self) -> None:
        """End the connection of whoever has said nothing for longest; one that waits comes last."""
        longest = min(self._callers, key=lambda c: (c.is_waiting, c.active_s))
        self._callers.discard(longest)
        for end in (longest.writer, longest.up):
            if end is not None:
                end.transport.abort()

    async def _await_answer(self, caller: Caller) -> None:
        """Let a caller that says no more have the answer that it waits for."""
        if caller.is_waiting and caller.up is not None and caller.back is not None:
            caller.up.write_eof()
            async with asyncio.timeout(ANSWER_S):
                await caller.back

    async def _tell(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        if data.startswith(SLEEP):
            self._stays_awake = False
            await self.sleep()
        elif data.startswith(AWAKE):
            self._stays_awake = True
            async with self._lock:
                await self._wake()
        body = json.dumps(self.server.state()).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
        writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
        await writer.drain()

    async def _show(self, path: bytes, writer: asyncio.StreamWriter) -> None:
        """Answer with a page of the server, which neither wakes it nor keeps it awake."""
        if self.server.is_awake and await self._forward(path, writer):
            return
        head = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
        writer.write(head + b"Connection: close\r\n\r\n")
        await writer.drain()

    async def _forward(self, path: bytes, writer: asyncio.StreamWriter) -> bool:
        """Return whether the server had a page to pass on; one that is just stopped has none."""
        is_passed_on = False
        async with asyncio.timeout(PAGE_S):
            try:
                back, up = await asyncio.open_connection("127.0.0.1", self.server.port)
            except OSError:
                return False
            try:
                up.write(b"GET %b HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n" % path)
                while piece := await back.read(PIECE):
                    is_passed_on = True
                    writer.write(piece)
                    await writer.drain()
            except ConnectionResetError:
                pass  # the server was stopped, or the caller hung up
            finally:
                up.close()
        return is_passed_on

    async def _up(self, caller: Caller) -> asyncio.StreamWriter:
        """Return the caller's connection to the server, which is woken where it sleeps."""
        async with self._lock:
            await self._wake()
            if caller.up is None:
                caller.head, caller.tail, caller.is_open = b"", b"", False
                back, caller.up = await asyncio.open_connection("127.0.0.1", self.server.port)
                caller.back = asyncio.create_task(self._back(caller, back, caller.up))
                self._tasks.add(caller.back)
                caller.back.add_done_callback(self._tasks.discard)
            return caller.up

    async def _back(
        self, caller: Caller, back: asyncio.StreamReader, up: asyncio.StreamWriter
    ) -> None:
        """Return to a caller what the server says to it."""
        with contextlib.suppress(OSError):
            while data := await back.read(PIECE):
                caller.hear(data)
                self._last = caller.active_s
                caller.writer.write(data)
                await caller.writer.drain()
        up.close()
        if caller.up is up:  # the server hung up by itself
            caller.writer.close()

    async def _wake(self) -> None:
        """Wake the server where it sleeps.

        Raises:
            ServerEnded: It ended, or was not ready in time.
        """
        if not self.server.is_awake:
            await self.server.wake()
            self._last = time.monotonic()

    async def sleep(self) -> None:
        """Stop the server, or let it sleep by itself, unless somebody waits for an answer."""
        async with self._lock:
            if not self.server.is_awake or any(c.is_waiting for c in self._callers):
                return
            if not await self.server.put_to_sleep():
                for caller in self._callers:
                    caller.up = None
                await self.server.stop()

    async def doze(self) -> None:
        """Let the server sleep whenever it was idle for long enough."""
        while True:
            await asyncio.sleep(min(0.25, self.idle_s / 4))
            is_idle = time.monotonic() - self._last >= self.idle_s
            may_sleep = self.server.is_awake and not self._stays_awake and not self._lock.locked()
            if may_sleep and is_idle:
                await self.sleep()


async def serve(args: argparse.Namespace) -> None:
    """Listen until the end is asked for.

    Raises:
        ServerEnded: The server ended by itself.
    """
    paths = (args.sleep, args.wake)
    server = WokenServer(args.words, args.health, args.start_s, paths)
    listener = Listener(server, args.idle_s)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` has it
            asyncio.get_running_loop().add_signal_handler(number, server.end.cancel)
    listening = await asyncio.start_server(listener.answer, args.host, args.port, backlog=BACKLOG)
    dozing = asyncio.create_task(listener.doze())
    try:
        await server.end
    except asyncio.CancelledError:
        pass  # a signal
    finally:
        listening.close()  # whoever is connected is not waited for
        dozing.cancel()
        await server.stop()
