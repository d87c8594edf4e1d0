"""One request and its answer: sent to its server on time, and what counts as a reply."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from objectives.apis.completions import Stream, StreamError, completion
from objectives.apis.transcription import FORM, transcription
from objectives.engines.vllm import usage
from objectives.load import http_client
from objectives.load.replies import Fault, Reply, RequestError
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Request

FAULTS: Mapping[type[Exception], Fault] = {
    StreamError: Fault.STREAM,
    http_client.ConnectError: Fault.CONNECT,
    http_client.RemoteProtocolError: Fault.PROTOCOL,
    TimeoutError: Fault.TIMEOUT,
    ValueError: Fault.ANSWER,
    KeyError: Fault.ANSWER,
}
FAILURES = tuple(FAULTS)
EMPTY = RequestError(Fault.EMPTY, "empty answer")
AHEAD_S = 0.05  # so much before its time a request's connection is opened


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


@dataclass(slots=True)
class Connection:
    """The servers of one window and the clock that its replies share; a context manager that hangs up at the end.

    Meanwhile what was there before is no garbage collector's business: a full collection of a study's process takes as
    long as many tokens, and requests would leave late.
    """

    endpoints: Endpoints
    clips: Sequence[Clip]
    timeout_s: float
    _lines: http_client.Lines = field(default_factory=http_client.Lines)

    def __enter__(self) -> Self:
        gc.collect()
        gc.freeze()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        gc.unfreeze()
        self._lines.close()

    def prepared(self, request: Request) -> bytes:
        """The body of a request, made before the clock runs: 24 long prompts at once would leave late."""
        if request.service == "stt":
            return transcription(self.clips[request.clip])
        return completion(request, self.endpoints.model, self.endpoints.vocabulary)

    async def send(
        self, request: Request, scheduled_s: float, body: bytes, due: asyncio.Future[None]
    ) -> Reply:
        """One scheduled request with its prepared body: connect just ahead of its time, send, await the whole answer.

        due: done at `scheduled_s`, see `http_client.gates`
        """
        await asyncio.sleep(scheduled_s - AHEAD_S - time.monotonic())
        if request.service == "stt":
            return await self.transcribe(request.clip, scheduled_s, body, due)
        return await self.complete(body, scheduled_s, due)

    async def transcribe(
        self,
        clip_number: int,
        scheduled_s: float,
        body: bytes | None = None,
        due: asyncio.Future[None] | None = None,
    ) -> Reply:
        """One clip through /v1/audio/transcriptions."""
        clip, parts = self.clips[clip_number], list[bytes]()
        content = body or transcription(clip)
        sent_s, error = await self._ask(
            "stt", "/v1/audio/transcriptions", content, FORM, parts.append, due
        )
        text = None
        if error is None:
            try:
                text = str(json.loads(b"".join(parts))["text"])
                error = None if text.strip() else EMPTY
            except (ValueError, KeyError, TypeError) as failure:
                error = RequestError(Fault.ANSWER, f"{type(failure).__name__}: {failure}")
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

    async def complete(
        self, content: bytes, scheduled_s: float, due: asyncio.Future[None] | None = None
    ) -> Reply:
        """One streamed completion; the stream's body is read for errors."""
        stream = Stream()
        sent_s, error = await self._ask(
            "llm", "/v1/completions", content, "application/json", stream.feed, due
        )
        end_s = time.monotonic()
        if error is None and (stream.first_s is None or stream.tokens == 0):
            error = EMPTY
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
    ) -> tuple[float, RequestError | None]:
        """When a request was sent, and why it failed if it did."""
        error = None
        line = self._lines.line(
            self.endpoints.llm_url if service == "llm" else self.endpoints.stt_url
        )
        try:
            if due is not None:
                await due
            sent_s = time.monotonic()
            async with asyncio.timeout(self.timeout_s):
                status = await line.ask("POST", path, feed, content, kind)
            if status != 200:
                refusal = line.refusal[:300].decode(errors="replace")
                error = RequestError(Fault.STATUS, f"HTTP {status}: {refusal}", status)
        except FAILURES as failure:
            error = _error(failure)
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
        return usage(b"".join(parts).decode(errors="replace"))


def _error(failure: Exception) -> RequestError:
    """What an exception of a request says of it."""
    fault = next(fault for kind, fault in FAULTS.items() if isinstance(failure, kind))
    if fault is Fault.STREAM:
        return RequestError(fault, str(failure))
    return RequestError(fault, f"{type(failure).__name__}: {failure}")
