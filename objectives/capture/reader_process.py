"""The process of the reader is started, fed and ended here, and started anew where it dies."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

from objectives.capture.exchange import Exchange
from objectives.capture.lengths import Lengths, Missing

COMMAND = (sys.executable, "-m", "objectives.capture.reader")
MOST_WAITING = 64 * 2**20  # bytes; what comes on top is not read
ANEW_S = 0.5  # between a reader's death and the next one
END_S = 30.0  # what waits at the end has so long


class ReaderProcess:
    """A reader process measures the lengths of exchanges, one after the other."""

    def __init__(self) -> None:
        self._waiting: dict[int, Callable[[Lengths], None]] = {}
        self._number = 0
        self._process: asyncio.subprocess.Process | None = None
        self._answers: asyncio.Task[None] | None = None
        self._is_ending = False

    async def start(self) -> None:
        """Start the process."""
        self._process = await asyncio.create_subprocess_exec(
            *COMMAND,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the program, which ends the reader
        )
        self._answers = asyncio.get_running_loop().create_task(self._listen(self._process))

    def read(
        self, exchange: Exchange, host: str, port: int, done: Callable[[Lengths], None]
    ) -> None:
        """Hand over an exchange; its bodies are given up here.

        Args:
            exchange: The exchange, ended.
            host: The host of the server that answered, which may count tokens.
            port: The port of that server.
            done: It is called with the lengths, from the event loop.
        """
        request, answer = exchange.request.bytes(), exchange.answer.bytes()
        exchange.request.drop()
        exchange.answer.drop()
        pipe = self._process.stdin if self._process is not None else None
        waiting = pipe.transport.get_write_buffer_size() if pipe is not None else 0
        if pipe is None or pipe.is_closing() or waiting > MOST_WAITING:
            done(Lengths(missing=Missing.UNREAD))
            return
        self._number += 1
        self._waiting[self._number] = done
        job = {
            "number": self._number,
            "api": exchange.api,
            "content_type": exchange.header(b"content-type"),
            "is_stream": exchange.is_stream,
            "encoding": exchange.encoding,
            "request": len(request),
            "answer": len(answer),
            "host": host,
            "port": port,
        }
        pipe.write(b"".join((json.dumps(job).encode(), b"\n", request, answer)))

    async def end(self) -> None:
        """Wait until what waits was read, and end the process."""
        self._is_ending = True
        process, answers = self._process, self._answers
        if process is None or process.stdin is None or answers is None:
            return
        process.stdin.close()
        try:
            await asyncio.wait_for(answers, END_S)
        except TimeoutError:
            process.kill()
            self._give_up()
        await process.wait()

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101  it was asked for
        async for line in process.stdout:
            if (record := _answer(line)) is None:
                continue
            done = self._waiting.pop(record.pop("number"))
            missing = record.pop("missing")
            done(Lengths(**record, missing=Missing(missing) if missing else None))
        self._give_up()
        if not self._is_ending:
            await asyncio.sleep(ANEW_S)
            await self.start()

    def _give_up(self) -> None:
        """Tell of what waits that it was not read."""
        while self._waiting:
            _, done = self._waiting.popitem()
            done(Lengths(missing=Missing.UNREAD))


def _answer(line: bytes) -> dict[str, Any] | None:
    """Return a line of the reader; None for what else its interpreter prints, as at its start."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and "number" in record else None
