"""A front listens in place of a server, starts it when it is asked, and stops it when it is idle.

It is a command of its own that needs the standard library alone, so that production can run what
was measured:

    python objectives/on_demand/front.py --port 8001 --idle-s 60 -- SERVER --port {own_port}

Where a server can sleep by itself (vLLM with --enable-sleep-mode and VLLM_SERVER_DEV_MODE=1), two
paths of it do that in place of a stop: --sleep "/sleep?level=1" --wake /wake_up.

A connection that says something wakes the server and waits for it; the front forwards bytes as they
are, and sees to it that whoever is connected may stay so while the server sleeps. Where the server
ends by itself, the front ends with its code.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

OWN_PORT = "{own_port}"  # stands in the server's command where its port goes
STATE, SLEEP = b"GET /on-demand/state ", b"POST /on-demand/sleep "
LOOK_S = 0.05
STOP_S = 3.0  # then it is killed
PIECE = 2**16


class Ended(Exception):
    """The server ended by itself; its argument is the exit code, negative for a signal."""


@dataclass(slots=True, eq=False)
class Caller:
    """A caller is connected to the front.

    Args:
        writer: What it reads.
        is_waiting: Whether the last that was said came from it.
        up: What the server reads of it; None while it has no connection there.
    """

    writer: asyncio.StreamWriter
    is_waiting: bool = False
    up: asyncio.StreamWriter | None = None


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
        self._lock = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._sleeps = False  # as a process that is there
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
        caller = Caller(writer)
        self._callers.add(caller)
        try:
            data = await reader.read(PIECE)
            if data.startswith((STATE, SLEEP)):
                await self._tell(data, writer)
                return
            while data:
                caller.is_waiting, self._last = True, time.monotonic()
                up = await self._up(caller)
                up.write(data)
                await up.drain()
                data = await reader.read(PIECE)
        except Ended as ended:
            self._finish(ended)
        except OSError:
            pass  # one of them hung up, and so do we
        finally:
            self._callers.discard(caller)
            for end in (writer, caller.up):
                if end is not None:
                    end.close()

    async def _tell(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        if data.startswith(SLEEP):
            await self.sleep()
        body = json.dumps(self.state()).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
        writer.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
        await writer.drain()

    async def _up(self, caller: Caller) -> asyncio.StreamWriter:
        """Return the caller's connection to the server, which is woken where it sleeps."""
        async with self._lock:
            if not self.is_awake:
                await self._wake()
            if caller.up is None:
                back, caller.up = await asyncio.open_connection("127.0.0.1", self._port)
                self._keep(asyncio.create_task(self._back(caller, back, caller.up)))
            return caller.up

    async def _back(
        self, caller: Caller, back: asyncio.StreamReader, up: asyncio.StreamWriter
    ) -> None:
        """Return to a caller what the server says to it."""
        with contextlib.suppress(OSError):
            while data := await back.read(PIECE):
                caller.is_waiting, self._last = False, time.monotonic()
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
        while not await self._is_ok("GET", self.health, 5):
            if self._process is None or self._process.returncode is not None:
                raise Ended(1 if self._process is None else self._process.returncode)
            if time.monotonic() - began > self.start_s:
                print(f"on demand: not ready within {self.start_s:g} s", file=sys.stderr)
                raise Ended(1)
            await asyncio.sleep(LOOK_S)

    async def _is_ok(self, method: str, path: str, within_s: float) -> bool:
        """Return whether the server answers 200 in time."""
        head = f"{method} {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"
        try:
            async with asyncio.timeout(within_s):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                writer.write(head.encode())
                line = await reader.readline()
                writer.close()
        except (OSError, TimeoutError):
            return False
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
            if self.is_awake and is_idle and not self._lock.locked():
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
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, front.end.cancel)
    server = await asyncio.start_server(front.answer, args.host, args.port)
    dozing = asyncio.create_task(front.doze())
    try:
        async with server:
            await front.end
    except asyncio.CancelledError:
        pass  # a signal
    finally:
        dozing.cancel()
        await front.close()


def main() -> None:
    """Listen in place of a server."""
    parser = argparse.ArgumentParser(description="Start a server when it is asked for.")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, required=True, help="the port to listen on")
    parser.add_argument("--health", default="/health", help="its page that is 200 once it is ready")
    parser.add_argument("--idle-s", type=float, default=60, help="seconds until it is stopped")
    parser.add_argument("--start-s", type=float, default=120, help="seconds until it must be ready")
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
            signal.signal(-code, signal.SIG_DFL) if -code not in (9, 19) else None
            os.kill(os.getpid(), -code)
        sys.exit(code)


if __name__ == "__main__":
    main()
