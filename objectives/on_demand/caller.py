"""A caller is connected to a front, which follows how far the answer is that it waits for."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass

PIECE = 2**16
HEAD_END, MOST_HEAD = b"\r\n\r\n", 2**18  # of a request; servers take less
LAST_CHUNK = b"\r\n0\r\n\r\n"
BEGIN = b"HTTP/1."  # of an answer
NOTICES, EMPTY = (b"100", b"102", b"103"), (b"101", b"204", b"304")  # by their status
CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r\n]*\bchunked", re.IGNORECASE)
MEASURED = re.compile(rb"\r\ncontent-length:", re.IGNORECASE)
HEAD_S = 20.0  # in which a head that has begun must end
ANSWER_S = 600.0  # who waits longer for an answer keeps nothing awake


@dataclass(slots=True, eq=False)
class Caller:
    """A caller is connected to the front.

    Args:
        writer: What it reads.
        active_s: When something was last said by it or to it, on the monotonic clock.
        is_asking: Whether an answer is due to it, or is under way without a length.
        up: What the server reads of it; None while it has no connection there.
        back: It returns what the server says.
        head: The head of an answer, while its end has not come.
        tail: The last bytes of an answer in chunks that is under way.
        is_open: Whether an answer is under way that ends with the connection.
    """

    writer: asyncio.StreamWriter
    active_s: float
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
        self.active_s, is_due = time.monotonic(), self.is_open
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
        return self.is_asking and time.monotonic() - self.active_s < ANSWER_S


async def head_of(reader: asyncio.StreamReader) -> bytes:
    """Return what a caller says first, with the whole head of a request.

    Nothing: it hung up before, or says too much.

    Raises:
        TimeoutError: It began, and does not end.
    """
    data = await reader.read(PIECE)
    async with asyncio.timeout(HEAD_S):
        while data and HEAD_END not in data:
            more = await reader.read(PIECE) if len(data) < MOST_HEAD else b""
            data = data + more if more else b""
    return data
