"""The client sends one request to its server on time, and judges what counts as a reply."""

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
    """Endpoints say where the servers listen and what requests must hold.

    Args:
        llm_url: The LLM server's scheme, host and port.
        stt_url: The speech server's.
        model: The name that the LLM server knows its model by.
        vocabulary: How many token ids the model has; None sends words instead of ids.
        metrics_path: The LLM server's Prometheus page; None where it has none.
    """

    llm_url: str
    stt_url: str
    model: str
    vocabulary: int | None
    metrics_path: str | None = "/metrics"


@dataclass(slots=True)
class Connection:
    """A connection reaches the servers of one window; as a context manager it hangs up at the end.

    Meanwhile the garbage collector leaves alone what was there before: a full collection of a
    study's process takes as long as many tokens, and requests would leave late.

    Args:
        endpoints: Where the servers listen.
        clips: The speech that requests name by number.
        timeout_s: The time that an answer may take, seconds.
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
        """Return the body of a request; it is made ahead, for 24 long prompts would leave late."""
        if request.service == "stt":
            return transcription(self.clips[request.clip])
        return completion(request, self.endpoints.model, self.endpoints.vocabulary)

    async def send(
        self, request: Request, scheduled_s: float, body: bytes, due: asyncio.Future[None]
    ) -> Reply:
        """Connect just ahead of a request's time, send it, and await the whole answer.

        Args:
            request: The request.
            scheduled_s: Its time on the monotonic clock, seconds.
            body: Its body, made before.
            due: A future that is done at `scheduled_s`, from `gates`.
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
        """Send one clip to the speech server, and return its reply.

        Args:
            clip_number: The clip.
            scheduled_s: When it should leave, on the monotonic clock, seconds.
            body: Its body, where it was made before.
            due: A future to wait for before it is sent.
        """
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
        """Send one completion to the LLM server, and return its reply.

        Args:
            content: The body of the request.
            scheduled_s: When it should leave, on the monotonic clock, seconds.
            due: A future to wait for before it is sent.
        """
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
        """Send a request; return when it left, and why it failed if it did."""
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
        """Return KV cache usage in percent and preemptions so far; None where none are told."""
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
    """Return the error of a request that an exception ended."""
    fault = next(fault for kind, fault in FAULTS.items() if isinstance(failure, kind))
    if fault is Fault.STREAM:
        return RequestError(fault, str(failure))
    return RequestError(fault, f"{type(failure).__name__}: {failure}")
