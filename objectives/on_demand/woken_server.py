"""A woken server is started or woken when it is needed, and stopped or put to sleep again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence

OWN_PORT = "{own_port}"  # stands in the server's command where its port goes
LOOK_S = 0.05
STOP_S = 3.0  # then it is killed


class ServerEnded(Exception):
    """The server ended by itself; its argument is the exit code, negative for a signal."""


class WokenServer:
    """A woken server is there while it is needed.

    Args:
        words: Its command.
        health: The path that answers 200 once it is ready.
        start_s: The time that it has to become ready, seconds.
        paths: Those of its own that let it sleep and wake it; empty where it is stopped.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        end: It gets `Ended` where the server ends by itself.
    """

    def __init__(
        self, words: Sequence[str], health: str, start_s: float, paths: tuple[str, str] = ("", "")
    ) -> None:
        self.words, self.health, self.start_s = words, health, start_s
        self.sleep_path, self.wake_path = paths
        self.port = 0
        self.end: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._starts_s: list[float] = []
        self._since, self._awake_s = 0.0, 0.0
        self._process: asyncio.subprocess.Process | None = None
        self._sleeps = False  # as a process that is there

    @property
    def is_awake(self) -> bool:
        """Return whether it runs, and does not sleep by itself."""
        return self._process is not None and not self._sleeps

    def state(self) -> dict[str, object]:
        """Return whether it is awake, how long it was in all, and what its starts took, seconds."""
        now_s = time.monotonic() - self._since if self.is_awake else 0.0
        awake_s = round(self._awake_s + now_s, 3)
        return {"is_awake": self.is_awake, "awake_s": awake_s, "starts_s": self._starts_s}

    async def wake(self) -> None:
        """Start it, or wake it, and wait until it is ready.

        Raises:
            ServerEnded: It ended, or was not ready in time.
        """
        began = time.monotonic()
        if self._process is None:
            await self._start()
        elif not await self._is_ok("POST", self.wake_path, self.start_s):
            print(f"on demand: {self.wake_path} did not wake it", file=sys.stderr)
            raise ServerEnded(1)
        self._since, self._sleeps = began, False
        await self._until_ready(began)
        self._starts_s.append(round(time.monotonic() - began, 3))

    async def put_to_sleep(self) -> bool:
        """Let it sleep as the process that it is; return whether it does: else it has to stop."""
        self._awake_s += time.monotonic() - self._since
        if self.sleep_path:
            self._sleeps = await self._is_ok("POST", self.sleep_path, self.start_s)
            if not self._sleeps:
                print(f"on demand: {self.sleep_path} failed; it is stopped", file=sys.stderr)
        return self._sleeps

    async def stop(self) -> None:
        """Stop it with all of its group."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), STOP_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()

    def finish(self, ended: ServerEnded) -> None:
        """Note that it ended by itself."""
        if not self.end.done():
            self.end.set_exception(ended)

    async def _start(self) -> None:
        """Start it.

        Raises:
            ServerEnded: It cannot be started.
        """
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        words = [w.replace(OWN_PORT, str(self.port)) for w in self.words]
        try:
            self._process = await asyncio.create_subprocess_exec(*words, start_new_session=True)
        except OSError as error:
            print(f"on demand: {words[0]} does not start: {error.strerror}", file=sys.stderr)
            raise ServerEnded(3) from error
        self._watching = asyncio.create_task(self._watch(self._process))

    async def _until_ready(self, began: float) -> None:
        """Wait until its page of health is 200.

        Raises:
            ServerEnded: It ended, or was not ready in time.
        """
        until_s = began + self.start_s
        while not await self._is_ok("GET", self.health, min(5.0, until_s - time.monotonic())):
            if self._process is None or self._process.returncode is not None:
                raise ServerEnded(1 if self._process is None else self._process.returncode)
            if time.monotonic() >= until_s:
                print(f"on demand: not ready within {self.start_s:g} s", file=sys.stderr)
                raise ServerEnded(1)
            await asyncio.sleep(LOOK_S)

    async def _is_ok(self, method: str, path: str, within_s: float) -> bool:
        """Return whether it answers 200 in time."""
        head = f"{method} {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"
        writer = None
        try:
            async with asyncio.timeout(within_s):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.write(head.encode())
                line = await reader.readline()
        except (OSError, ValueError):  # no answer in time, or a line without an end
            return False
        finally:
            if writer is not None:
                writer.close()
        return line.split()[1:2] == [b"200"]

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        if process is self._process:
            self.finish(ServerEnded(code))
