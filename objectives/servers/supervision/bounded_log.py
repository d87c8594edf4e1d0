"""A server's log keeps its head and its tail; what it says between them without end is left out."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

HEAD_BYTES, TAIL_BYTES = 2**20, 2**20  # what it says between them is left out
PIECE_BYTES, PIECES = 2**16, 64  # are read at a time


class BoundedLog:
    """A log is what a pipe brings; where it is too long its middle is left out, which it says.

    Args:
        path: Its file.
        pipe: The read end of the pipe.
    """

    def __init__(self, path: Path, pipe: int) -> None:
        self.path, self.pipe = path, pipe
        self.file, self.size, self.left_out = path.open("ab", buffering=0), 0, 0
        self.head = self.cut = b""  # of a log that has been cut
        os.set_blocking(pipe, False)

    def write(self, data: bytes) -> None:
        """Write more; a full disk loses it, and not the server."""
        with contextlib.suppress(OSError):
            self.file.write(data)
        self.size += len(data)
        if self.size > HEAD_BYTES + 2 * TAIL_BYTES:
            self._cut()

    def take(self) -> bool:
        """Write what is there now, but not without end; return whether more may come."""
        for _ in range(PIECES):
            try:
                data = os.read(self.pipe, PIECE_BYTES)
            except BlockingIOError:
                return True
            if not data:
                return False
            self.write(data)
        return True

    def _cut(self) -> None:
        """Leave out all but the head and the tail; readers see the one file or the other."""
        try:
            text = self.path.read_bytes()
            if not self.head:
                head = text[:HEAD_BYTES]
                self.head = head[: head.rfind(b"\n", HEAD_BYTES // 2) + 1] or head
            text = text[len(self.head) + len(self.cut) :]
            tail = text[-TAIL_BYTES:]
            tail = tail[tail.find(b"\n", 0, TAIL_BYTES // 2) + 1 :]
            self.left_out += len(text) - len(tail)
            self.cut = b"\n[%d bytes of this log are left out here]\n" % self.left_out
            draft = self.path.with_suffix(".draft")
            draft.touch(0o600)
            draft.write_bytes(self.head + self.cut + tail)
            draft.replace(self.path)
            self.file.close()
            self.file = self.path.open("ab", buffering=0)
            self.size = os.fstat(self.file.fileno()).st_size
        except OSError:  # a full disk: it is tried again when more has come
            self.size = HEAD_BYTES + TAIL_BYTES
