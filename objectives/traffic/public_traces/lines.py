"""A trace file of any size is read line by line; `.gz` and a byte order mark are fine."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from objectives.errors import BadInput

LONGEST_LINE = 2**20  # bytes
MOST_EMPTY = 1000  # lines without a request between them: a packed file may hold billions
GZIP = b"\x1f\x8b"
POINTER = "version https://git-lfs.github.com/spec/"


@dataclass(slots=True)
class TraceFile:
    """A trace file is read from its start, and may be left before its end.

    Args:
        path: Where it lies.
        number: The number of the line that was read last.
    """

    path: Path
    number: int = 0
    _digest: Any = field(default_factory=hashlib.sha256)

    def wrong(self, what: str, way_out: str) -> BadInput:
        """Return the error that says what is wrong with the line that was read last."""
        text = f"{self.path}:{max(1, self.number)}: {what}; {way_out}"
        return BadInput("".join(c if c.isprintable() else " " for c in text))

    def lines(self) -> Iterator[str]:
        """Return the lines without their ends and without those that are empty.

        Raises:
            BadInput: The file cannot be read, a line is no text or too long, or too many are empty.
        """
        empty = 0
        with self._open() as file:
            while raw := file.readline(LONGEST_LINE + 1):
                self.number += 1
                self._digest.update(raw)
                if len(raw) > LONGEST_LINE:
                    what = f"the line is longer than {LONGEST_LINE // 2**20} MiB"
                    raise self.wrong(what, "name a trace with a request in each line")
                try:
                    text = raw.decode("utf-8-sig" if self.number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    raise self.wrong("it is no text of UTF-8", "save the trace as UTF-8") from error
                if self.number == 1 and text.startswith(POINTER):
                    what = "this is a pointer of git LFS in place of the trace"
                    raise self.wrong(what, "run `git lfs pull` where it comes from")
                if text := text.strip():
                    empty = 0
                    yield text
                elif (empty := empty + 1) > MOST_EMPTY:
                    what = f"more than {MOST_EMPTY:,} lines in a row are empty"
                    raise self.wrong(what, "name a trace with a request in each line")

    def digest(self) -> str:
        """Return the SHA-256 of all lines that were read, and of the size of the file."""
        digest = self._digest.copy()
        digest.update(str(self.path.stat().st_size).encode())
        return str(digest.hexdigest())

    @contextmanager
    def _open(self) -> Iterator[IO[bytes]]:
        try:
            with self.path.open("rb") as raw:
                is_packed = raw.read(2) == GZIP
                raw.seek(0)
                if is_packed:
                    with gzip.open(raw) as unpacked:
                        yield cast(IO[bytes], unpacked)
                else:
                    yield raw
        except (OSError, EOFError, zlib.error) as error:  # also a damaged .gz
            why = getattr(error, "strerror", None) or str(error)
            raise self.wrong(f"it cannot be read ({why})", "name a whole trace file") from error
