"""OpenAI's completions: the body of a request, and its streamed answer piece by piece."""

from __future__ import annotations

import json
import time

from objectives.traffic.workload import Request, prompt


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
        if (
            self.first_s is not None
            and b'"completion_tokens"' not in data
            and b'"error"' not in data
        ):
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


def completion(request: Request, model: str, vocabulary: int | None) -> bytes:
    """A streamed completion of a fixed output length; words in place of token ids where there is no vocabulary."""
    tokens, seed = request.prompt_tokens, request.seed
    body = {
        "model": model,
        "prompt": prompt(tokens, seed, vocabulary) if vocabulary else _words(tokens, seed),
        "max_tokens": request.output_tokens,
        "temperature": 0,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    return json.dumps(body).encode()


def _words(tokens: int, seed: int) -> str:
    """A prompt of common short words for servers that take no token ids: about one token a word."""
    words = ("red", "old", "sun", "map", "ice", "dog", "box", "pen", "cup", "hat")
    return " ".join(words[i % 10] for i in prompt(tokens, seed, 1000))
