"""A streamed completion, piece by piece: when its first content came, how many tokens it had, whether it failed."""

from __future__ import annotations

import json
import time


class StreamError(Exception):
    """An engine that dies answers 200 and says so inside the stream."""


class Stream:
    """What a streamed completion has said so far; after its first content only what ends or counts it is parsed.

    first_s: when the first content came; tokens: as the server counts them
    """

    __slots__ = ("_rest", "first_s", "tokens")

    def __init__(self) -> None:
        self.first_s: float | None = None
        self.tokens: int | None = None
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """A piece of the body, cut anywhere.

        raises: StreamError where the server reports one; ValueError or KeyError where it does not speak as it should
        """
        if self._rest:
            data = self._rest + data
        end = data.rfind(b"\n") + 1
        self._rest, data = data[end:], data[:end]
        if self.first_s is not None and b'"completion_tokens"' not in data and b'"error"' not in data:
            return
        for line in data.splitlines():
            if not line.startswith(b"data:") or not line[5:].lstrip().startswith(b"{"):
                continue
            part = json.loads(line[5:])
            if "error" in part:
                raise StreamError(f"error in the stream: {part['error']}"[:300])
            if part.get("choices") and self.first_s is None:
                self.first_s = time.monotonic()
            if part.get("usage"):
                self.tokens = int(part["usage"]["completion_tokens"])
