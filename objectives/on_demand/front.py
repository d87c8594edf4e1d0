"""A front listens in place of a server, starts it when it is asked, and stops it when it is idle.

It is a command of its own that needs the standard library alone, so that production can run what
was measured:

    python objectives/on_demand/front.py --port 8001 --idle-s 60 -- SERVER --port {own_port}

Where a server can sleep by itself (vLLM with --enable-sleep-mode and VLLM_SERVER_DEV_MODE=1), two
paths of it do that in place of a stop: --sleep "/sleep?level=1" --wake /wake_up.

A connection that says the whole head of a request wakes the server and waits for it; the front
forwards bytes as they are, and sees to it that whoever is connected may stay so while the server
sleeps. Who waits longer than ten minutes for an answer keeps it awake no more. Where the server
ends by itself, the front ends with its code.

Who only looks asks for /on-demand/page and then the server's own path, such as
/on-demand/page/metrics: that is no traffic, and 503 while the server sleeps.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import os
import re
import resource
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

OWN_PORT = "{own_port}"  # stands in the server's command where its port goes
STATE, SLEEP = b"GET /on-demand/state ", b"POST /on-demand/sleep "
AWAKE = b"POST /on-demand/awake "  # wakes the server, which then stays so until it is told to sleep
PAGE = "/on-demand/page"
LOOK_S = 0.05
PAGE_S = 10.0
STOP_S = 3.0  # then it is killed
PIECE = 2**16
HEAD_END, MOST_HEAD = b"\r\n\r\n", 2**18  # of a request; servers take less
LAST_CHUNK = b"\r\n0\r\n\r\n"
BEGIN = b"HTTP/1."  # of an answer
NOTICES, EMPTY = (b"100", b"102", b"103"), (b"101", b"204", b"304")  # by their status
CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r\n]*\bchunked", re.IGNORECASE)
MEASURED = re.compile(rb"\r\ncontent-length:", re.IGNORECASE)
HEAD_S = 20.0  # in which a head that has begun must end
ANSWER_S = 600.0  # who waits longer for an answer keeps nothing awake
BACKLOG, SPARE = 64, 128  # connections that are taken at once; files that are not for callers
MOST_FILES = 2**14


class Ended(Exception):
    """The server ended by itself; its argument is the exit code, negative for a signal."""


@dataclass(slots=True, eq=False)
class Caller:
    """A caller is connected to the front.

    Args:
        writer: What it reads.
        said_s: When something was last said by it or to it, on the monotonic clock.
        is_asking: Whether an answer is due to it, or is under way without a length.
        up: What the server reads of it; None while it has no connection there.
        back: It returns what the server says.
        head: The head of an answer, while its end has not come.
        tail: The last bytes of an answer in chunks that is under way.
        is_open: Whether an answer is under way that ends with the connection.
    """

    writer: asyncio.StreamWriter
    said_s: float
    is_asking: bool = False
    up: asyncio.StreamWriter | None = None
    back: asyncio.Task[None] | None = None
    head: bytes = b""
    tail: bytes = b""
    is_open: bool = False

    def hear(self, piece: bytes) -> None:
        """Note a piece of an answer: one in chunks, as streams are, ends with an empty chunk.

        One without chunks or a length, as of HTTP/1.0, ends with the connection.
        """
        self.said_s, is_due = time.monotonic(), self.is_open
        if self.tail:
            self.tail = (self.tail + piece)[-len(LAST_CHUNK) :]
        elif not self.is_open:
            is_due = self._is_due(self.head + piece)
        if self.tail == LAST_CHUNK:
            self.tail = b""
        self.is_asking = is_due or bool(self.tail)

    def _is_due(self, piece: bytes) -> bool:
        """Return whether more is due of an answer that begins so, beside chunks.

        More is due behind half a head, or a notice such as `100 Continue`.
        """
        self.head, is_noticed = b"", False
        while piece.startswith(BEGIN[: len(piece)]) and piece:
            head, end, rest = piece.partition(HEAD_END)
            if not end:
                self.head = piece if len(piece) < MOST_HEAD else b""
                return bool(self.head)
            status = head[9:12]
            if status in NOTICES:
                piece, is_noticed = rest, True
                continue
            if CHUNKED.search(head):
                self.tail = piece[-len(LAST_CHUNK) :]
            else:
                self.is_open = MEASURED.search(head) is None and status not in EMPTY
            return self.is_open
        return is_noticed and not piece

    @property
    def is_waiting(self) -> bool:
        """Return whether it waits for an answer that may still come."""
        return self.is_asking and time.monotonic() - self.said_s < ANSWER_S


class Front:
    """A front wakes one server.

    Args:
        words: The server's command.
        health: The path that answers 200 once it is ready.
        idle_s: The time without a request after which it is stopped, seconds.
        start_s: The time that it has to become ready, seconds.
        paths: Those of the server that let it sleep and wake it; empty where it is stopped.
    """

    def __init__(
        self,
        words: Sequence[str],
        health: str,
        idle_s: float,
        start_s: float,
        paths: tuple[str, str] = ("", ""),
    ) -> None:
        self.words, self.health, self.idle_s, self.start_s = words, health, idle_s, start_s
        self.sleep_path, self.wake_path = paths
        self.starts_s: list[float] = []
        self._callers: set[Caller] = set()
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        files = MOST_FILES if soft == resource.RLIM_INFINITY else min(soft, MOST_FILES)
        self._most = max(8, (files - SPARE) // 2)  # callers, each with two connections
        self._lock = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._sleeps = False  # as a process that is there
        self._stays_awake = False
        self._port, self._last, self._since, self._awake_s = 0, time.monotonic(), 0.0, 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self.end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def is_awake(self) -> bool:
        """Return whether the server runs, and does not sleep by itself."""
        return self._process is not None and not self._sleeps

    def state(self) -> dict[str, object]:
        """Return whether it is awake, how long it was in all, and what its starts took, seconds."""
        now_s = time.monotonic() - self._since if self.is_awake else 0.0
        awake_s = round(self._awake_s + now_s, 3)
        return {"is_awake": self.is_awake, "awake_s": awake_s, "starts_s": self.starts_s}

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
                caller.is_asking, caller.said_s = True, time.monotonic()
                self._last = caller.said_s
                up = await self._up(caller)
                up.write(data)
                await up.drain()
                data = await reader.read(PIECE)
            await self._said_all(caller)
        except Ended as ended:
            self._finish(ended)
        except (OSError, asyncio.CancelledError):
            pass  # one of them hung up, or the front ends, and so do we
        finally:
            self._callers.discard(caller)
            for end in (writer, caller.up):
                if end is not None:
                    end.close()

    def _hang_up(self) -> None:
        """End the connection of whoever has said nothing for longest; one that waits comes last."""
        longest = min(self._callers, key=lambda c: (c.is_waiting, c.said_s))
        self._callers.discard(longest)
        for end in (longest.writer, longest.up):
            if end is not None:
                end.transport.abort()

    async def _said_all(self, caller: Caller) -> None:
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
                if not self.is_awake:
                    await self._wake()
        body = json.dumps(self.state()).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
        writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
        await writer.drain()

    async def _show(self, path: bytes, writer: asyncio.StreamWriter) -> None:
        """Answer with a page of the server, which neither wakes it nor keeps it awake."""
        if self.is_awake and await self._passed_on(path, writer):
            return
        head = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
        writer.write(head + b"Connection: close\r\n\r\n")
        await writer.drain()

    async def _passed_on(self, path: bytes, writer: asyncio.StreamWriter) -> bool:
        """Return whether the server had a page to pass on; one that is just stopped has none."""
        is_passed_on = False
        async with asyncio.timeout(PAGE_S):
            try:
                back, up = await asyncio.open_connection("127.0.0.1", self._port)
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
            if not self.is_awake:
                await self._wake()
            if caller.up is None:
                caller.head, caller.tail, caller.is_open = b"", b"", False
                back, caller.up = await asyncio.open_connection("127.0.0.1", self._port)
                caller.back = asyncio.create_task(self._back(caller, back, caller.up))
                self._keep(caller.back)
            return caller.up

    async def _back(
        self, caller: Caller, back: asyncio.StreamReader, up: asyncio.StreamWriter
    ) -> None:
        """Return to a caller what the server says to it."""
        with contextlib.suppress(OSError):
            while data := await back.read(PIECE):
                caller.hear(data)
                self._last = caller.said_s
                caller.writer.write(data)
                await caller.writer.drain()
        up.close()
        if caller.up is up:  # the server hung up by itself
            caller.writer.close()

    async def _wake(self) -> None:
        """Start the server, or wake it, and wait until it is ready.

        Raises:
            Ended: It ended, or was not ready in time.
        """
        began = time.monotonic()
        if self._process is None:
            await self._start()
        elif not await self._is_ok("POST", self.wake_path, self.start_s):
            print(f"on demand: {self.wake_path} did not wake it", file=sys.stderr)
            raise Ended(1)
        self._since, self._sleeps = began, False
        await self._until_ready(began)
        self._last = time.monotonic()
        self.starts_s.append(round(self._last - began, 3))

    async def _start(self) -> None:
        """Start the server.

        Raises:
            Ended: It cannot be started.
        """
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        words = [w.replace(OWN_PORT, str(self._port)) for w in self.words]
        try:
            self._process = await asyncio.create_subprocess_exec(*words, start_new_session=True)
        except OSError as error:
            print(f"on demand: {words[0]} does not start: {error.strerror}", file=sys.stderr)
            raise Ended(3) from error
        self._keep(asyncio.create_task(self._watch(self._process)))

    async def _until_ready(self, began: float) -> None:
        """Wait until the server's page of health is 200.

        Raises:
            Ended: It ended, or was not ready in time.
        """
        until_s = began + self.start_s
        while not await self._is_ok("GET", self.health, min(5.0, until_s - time.monotonic())):
            if self._process is None or self._process.returncode is not None:
                raise Ended(1 if self._process is None else self._process.returncode)
            if time.monotonic() >= until_s:
                print(f"on demand: not ready within {self.start_s:g} s", file=sys.stderr)
                raise Ended(1)
            await asyncio.sleep(LOOK_S)

    async def _is_ok(self, method: str, path: str, within_s: float) -> bool:
        """Return whether the server answers 200 in time."""
        head = f"{method} {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"
        writer = None
        try:
            async with asyncio.timeout(within_s):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                writer.write(head.encode())
                line = await reader.readline()
        except (OSError, ValueError):  # no answer in time, or a line without an end
            return False
        finally:
            if writer is not None:
                writer.close()
        return line.split()[1:2] == [b"200"]

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        """End the front with a server that ends by itself."""
        code = await process.wait()
        if process is self._process:
            self._finish(Ended(code))

    async def sleep(self) -> None:
        """Stop the server, or let it sleep by itself, unless somebody waits for an answer."""
        async with self._lock:
            process = self._process
            if process is None or self._sleeps or any(c.is_waiting for c in self._callers):
                return
            self._awake_s += time.monotonic() - self._since
            if self.sleep_path:
                self._sleeps = await self._is_ok("POST", self.sleep_path, self.start_s)
                if self._sleeps:
                    return
                print(f"on demand: {self.sleep_path} failed; it is stopped", file=sys.stderr)
            self._process = None
            for caller in self._callers:
                caller.up = None
            await stop(process)

    async def doze(self) -> None:
        """Stop the server whenever it was idle for long enough."""
        while True:
            await asyncio.sleep(min(0.25, self.idle_s / 4))
            is_idle = time.monotonic() - self._last >= self.idle_s
            may_sleep = self.is_awake and not self._stays_awake and not self._lock.locked()
            if may_sleep and is_idle:
                await self.sleep()

    async def close(self) -> None:
        """Stop the server for good."""
        if (process := self._process) is not None:
            self._process = None
            await stop(process)

    def _finish(self, ended: Ended) -> None:
        if not self.end.done():
            self.end.set_exception(ended)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def head_of(reader: asyncio.StreamReader) -> bytes:
    """Return what a caller says first, with the whole head of a request.

    Nothing: it hung up before, or says too much.

    Raises:
        TimeoutError: It began, and does not end.
    """
    data = await reader.read(PIECE)
    async with asyncio.timeout(HEAD_S):
        while data and HEAD_END not in data:
            more = await reader.read(PIECE)
            data = data + more if more and len(data) < MOST_HEAD else b""
    return data


async def stop(process: asyncio.subprocess.Process) -> None:
    """Stop a server with all of its group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(process.wait(), STOP_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


async def serve(args: argparse.Namespace) -> None:
    """Listen until the end is asked for.

    Raises:
        Ended: The server ended by itself.
    """
    paths = (args.sleep, args.wake)
    front = Front(args.words, args.health, args.idle_s, args.start_s, paths)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` has it
            asyncio.get_running_loop().add_signal_handler(number, front.end.cancel)
    server = await asyncio.start_server(front.answer, args.host, args.port, backlog=BACKLOG)
    dozing = asyncio.create_task(front.doze())
    try:
        await front.end
    except asyncio.CancelledError:
        pass  # a signal
    finally:
        server.close()  # whoever is connected is not waited for
        dozing.cancel()
        await front.close()


def port(text: str) -> int:
    """Return the number of a port.

    Raises:
        ValueError: It is none.
    """
    if not 0 < int(text) < 2**16:
        raise ValueError(text)
    return int(text)


def seconds(text: str) -> float:
    """Return a time.

    Raises:
        ValueError: It is none, or has no end.
    """
    if not 0 < float(text) < math.inf:
        raise ValueError(text)
    return float(text)


def main() -> None:
    """Listen in place of a server."""
    parser = argparse.ArgumentParser(description="Start a server when it is asked for.")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=port, required=True, help="the port to listen on")
    parser.add_argument("--health", default="/health", help="its page that is 200 once it is ready")
    parser.add_argument("--idle-s", type=seconds, default=60, help="seconds until it is stopped")
    parser.add_argument(
        "--start-s", type=seconds, default=120, help="seconds until it must be ready"
    )
    parser.add_argument("--sleep", default="", help="its own path that lets it sleep, by POST")
    parser.add_argument("--wake", default="", help="its own path that wakes it, by POST")
    parser.add_argument("words", nargs="+", metavar="COMMAND", help=f"{OWN_PORT} is its port")
    try:
        asyncio.run(serve(parser.parse_args()))
    except OSError as error:
        print(f"on demand: it cannot listen: {error.strerror}", file=sys.stderr)
        sys.exit(3)
    except Ended as ended:
        code = int(ended.args[0])
        if code < 0:  # by the same signal, so that whoever watches sees what the server died of
            with contextlib.suppress(OSError):  # of SIGKILL nobody may change what it does
                signal.signal(-code, signal.SIG_DFL)
            os.kill(os.getpid(), -code)
        sys.exit(code)


if __name__ == "__main__":
    main()
