"""One request and its answer: what is sent to each server, and what counts as a reply."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from objectives import wire
from objectives.clips import Clip
from objectives.measurement import Reply
from objectives.workload import Request, prompt

FATAL = ("HTTP 5", "error in the stream", "ConnectError", "RemoteProtocolError")
FAILURES = (wire.ConnectError, wire.RemoteProtocolError, TimeoutError, ValueError, KeyError)
AHEAD_S = 0.05  # so much before its time a request's connection is opened
BOUNDARY = "c5d1f7a2e94b48c8"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the servers listen and what requests must say.

    vocabulary: how many token ids the model has; None sends words instead of ids
    """

    llm_url: str
    stt_url: str
    model: str
    vocabulary: int | None
    metrics_path: str | None = "/metrics"


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


class StreamError(Exception):
    """An engine that dies answers 200 and says so inside the stream."""


@dataclass(slots=True)
class Connection:
    """The servers of one window and the clock that its replies share; a context manager that hangs up at the end.

    Meanwhile what was there before is no garbage collector's business: a full collection of a study's process takes as
    long as many tokens, and requests would leave late.
    """

    endpoints: Endpoints
    clips: Sequence[Clip]
    timeout_s: float
    _lines: wire.Lines = field(default_factory=wire.Lines)

    def __enter__(self) -> Self:
        gc.collect()
        gc.freeze()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        gc.unfreeze()
        self._lines.close()

    def prepared(self, request: Request) -> bytes:
        """The body of a request, made before the clock runs: 24 long prompts at once would leave late."""
        if request.service == "stt":
            return multipart(self.clips[request.clip])
        tokens, vocabulary = request.prompt_tokens, self.endpoints.vocabulary
        text = prompt(tokens, request.seed, vocabulary) if vocabulary else words(tokens, request.seed)
        return self.body(text, request.output_tokens)

    async def send(self, request: Request, scheduled_s: float, body: bytes, due: asyncio.Future[None]) -> Reply:
        """One scheduled request with its prepared body: connect just ahead of its time, send, await the whole answer.

        due: done at `scheduled_s`, see `wire.gates`
        """
        await asyncio.sleep(scheduled_s - AHEAD_S - time.monotonic())
        if request.service == "stt":
            return await self.transcribe(request.clip, scheduled_s, body, due)
        return await self.complete(body, scheduled_s, due)

    async def transcribe(
        self, clip_number: int, scheduled_s: float, body: bytes | None = None, due: asyncio.Future[None] | None = None
    ) -> Reply:
        """One clip through /v1/audio/transcriptions."""
        clip, parts = self.clips[clip_number], list[bytes]()
        content, kind = body or multipart(clip), f"multipart/form-data; boundary={BOUNDARY}"
        sent_s, error = await self._ask("stt", "/v1/audio/transcriptions", content, kind, parts.append, due)
        text = None
        if error is None:
            try:
                text = str(json.loads(b"".join(parts))["text"])
                error = None if text.strip() else "empty answer"
            except (ValueError, KeyError, TypeError) as failure:
                error = f"{type(failure).__name__}: {failure}"
        end_s = time.monotonic()
        return Reply(
            service="stt",
            scheduled_s=scheduled_s,
            sent_s=sent_s,
            first_s=None if error else end_s,
            end_s=None if error else end_s,
            audio_s=clip.seconds,
            clip=clip_number,
            text=text,
            error=error,
        )

    def body(self, text: list[int] | str, tokens: int) -> bytes:
        """A completion request of a fixed output length."""
        body = {
            "model": self.endpoints.model,
            "prompt": text,
            "max_tokens": tokens,
            "temperature": 0,
            "ignore_eos": True,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        return json.dumps(body).encode()

    async def complete(self, content: bytes, scheduled_s: float, due: asyncio.Future[None] | None = None) -> Reply:
        """One streamed completion; the stream's body is read for errors."""
        stream = Stream()
        sent_s, error = await self._ask("llm", "/v1/completions", content, "application/json", stream.feed, due)
        end_s = time.monotonic()
        if error is None and (stream.first_s is None or stream.tokens == 0):
            error = "empty answer"
        return Reply(
            service="llm",
            scheduled_s=scheduled_s,
            sent_s=sent_s,
            first_s=None if error else stream.first_s,
            end_s=None if error else end_s,
            tokens=stream.tokens,
            error=error,
        )

    async def _ask(
        self,
        service: str,
        path: str,
        content: bytes,
        kind: str,
        feed: Callable[[bytes], None],
        due: asyncio.Future[None] | None,
    ) -> tuple[float, str | None]:
        """When a request was sent, and why it failed if it did."""
        error = None
        line = self._lines.line(self.endpoints.llm_url if service == "llm" else self.endpoints.stt_url)
        try:
            if due is not None:
                await due
            sent_s = time.monotonic()
            async with asyncio.timeout(self.timeout_s):
                status = await line.ask("POST", path, feed, content, kind)
            if status != 200:
                error = f"HTTP {status}: {line.refusal[:300].decode(errors='replace')}"
        except StreamError as failure:
            error = str(failure)
        except FAILURES as failure:
            error = f"{type(failure).__name__}: {failure}"
        finally:
            self._lines.give_back(line)
        return sent_s, error

    async def engine(self) -> tuple[float | None, int | None]:
        """KV cache usage in percent and preemptions so far; None where the server does not tell."""
        if self.endpoints.metrics_path is None:
            return None, None
        line, parts = self._lines.line(self.endpoints.llm_url), list[bytes]()
        try:
            async with asyncio.timeout(10):
                await line.ask("GET", self.endpoints.metrics_path, parts.append)
        except FAILURES:
            return None, None
        finally:
            self._lines.give_back(line)
        text = b"".join(parts).decode(errors="replace")
        usage, preempted = (
            metric(text, "vllm:kv_cache_usage_perc"),
            metric(text, "vllm:num_preemptions_total"),
        )
        return None if usage is None else usage * 100.0, None if preempted is None else int(preempted)


def multipart(clip: Clip) -> bytes:
    """The body of a transcription request."""
    name = clip.name.translate({34: "%22", 13: "%0D", 10: "%0A"})
    fields = "".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
        for key, value in (("model", "whisper-1"), ("response_format", "json"))
    )
    fields += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
    return f"{fields}Content-Type: audio/flac\r\n\r\n".encode() + clip.audio + f"\r\n--{BOUNDARY}--\r\n".encode()


def metric(text: str, name: str) -> float | None:
    """A sample of a Prometheus page; None where it is missing.

    >>> metric('vllm:kv_cache_usage_perc{engine="0"} 0.25', "vllm:kv_cache_usage_perc")
    0.25
    """
    found = re.search(rf"^{re.escape(name)}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else None


def is_fatal(reply: Reply) -> bool:
    """A speech server that answers 5xx or hangs up, or an engine that died, ends the window at once."""
    return reply.error is not None and reply.error.startswith(FATAL)


def words(tokens: int, seed: int) -> str:
    """A prompt of common short words for servers that take no token ids: about one token a word."""
    words = ("red", "old", "sun", "map", "ice", "dog", "box", "pen", "cup", "hat")
    return " ".join(words[i % 10] for i in prompt(tokens, seed, 1000))
