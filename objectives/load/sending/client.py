"""The client sends one request to its server on time, and judges what counts as a reply."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from objectives.apis.api import Answer, Endpoint, Reading
from objectives.apis.completions import StreamError
from objectives.load.replies import Fault, Reply, RequestError
from objectives.load.sending import http_client
from objectives.load.sending.plan import Endpoints
from objectives.plain_data.masked import masked
from objectives.plain_data.spellable import spellable
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Request

FAULTS: Mapping[type[Exception], Fault] = {
    StreamError: Fault.STREAM,
    http_client.ConnectError: Fault.CONNECT,
    http_client.RemoteProtocolError: Fault.PROTOCOL,
    TimeoutError: Fault.TIMEOUT,
    ValueError: Fault.MALFORMED,
    RecursionError: Fault.MALFORMED,
}
REQUEST_FAILURES = tuple(FAULTS)
EMPTY = RequestError(Fault.EMPTY, "empty answer")
NOTHING = Answer(is_empty=True)
MOST_WORDS = 300  # characters of what a server says of its failure
AHEAD_S = 0.05  # so much before its time a request's connection is opened


@dataclass(slots=True)
class Connection:
    """A connection reaches the servers of one plan; as a context manager it hangs up at the end.

    Meanwhile the garbage collector leaves alone what was there before: a full collection takes as
    long as many tokens, and requests would leave late.

    Args:
        endpoints: Where the servers listen.
        clips: The speech that requests name by number.
        timeout_s: The time that an answer may take, seconds.
    """

    endpoints: Endpoints
    clips: Sequence[Clip]
    timeout_s: float
    _lines: http_client.HttpLines = field(default_factory=http_client.HttpLines)

    def __enter__(self) -> Self:
        gc.collect()
        gc.freeze()
        return self

    def __exit__(self, *_: object) -> None:
        gc.unfreeze()
        self._lines.close()

    def prepared(self, request: Request) -> bytes:
        """Return the body of a request; it is made ahead, for 24 long prompts would leave late."""
        return self.endpoints[request.service].api.body(request, self.clips)

    async def send(
        self, request: Request, scheduled_s: float, body: bytes, due: asyncio.Future[None]
    ) -> Reply:
        """Connect just ahead of a request's time, send it, and await the whole answer.

        Args:
            request: The request.
            scheduled_s: Its time on the monotonic clock, seconds.
            body: Its body, made before.
            due: A future that is done at `scheduled_s`.
        """
        await asyncio.sleep(scheduled_s - AHEAD_S - time.monotonic())
        return await self.exchange(request, scheduled_s, body, due)

    async def exchange(
        self,
        request: Request,
        scheduled_s: float,
        body: bytes,
        due: asyncio.Future[None] | None = None,
    ) -> Reply:
        """Send a request to its server, and return the reply.

        Args:
            request: The request.
            scheduled_s: When it should leave, on the monotonic clock, seconds.
            body: Its body, made before.
            due: A future to wait for before it is sent.
        """
        endpoint = self.endpoints[request.service]
        reading, answer = endpoint.api.reading(), NOTHING
        sent_s, error = await self._ask(endpoint, body, reading, due)
        if error is None:
            try:
                answer = reading.answer()
                error = EMPTY if answer.is_empty else None
            except REQUEST_FAILURES as failure:
                error = _error(failure)
        end_s = time.monotonic()
        clip = self.clips[request.clip] if endpoint.api.is_fed_audio else None
        return Reply(
            service=request.service,
            scheduled_s=scheduled_s,
            sent_s=sent_s,
            first_s=None if error else answer.first_s or end_s,
            end_s=None if error else end_s,
            tokens=answer.tokens,
            audio_s=clip.seconds if clip else None,
            clip=request.clip if clip else None,
            text=answer.text,
            turn=request.turn,
            error=error,
        )

    async def _ask(
        self,
        endpoint: Endpoint,
        body: bytes,
        reading: Reading,
        due: asyncio.Future[None] | None,
    ) -> tuple[float, RequestError | None]:
        """Send a request; return when it left, and why it failed if it did."""
        error = None
        line, api = self._lines.line(endpoint.url), endpoint.api
        try:
            if due is not None:
                await due
            sent_s = time.monotonic()
            async with asyncio.timeout(self.timeout_s):
                while True:
                    try:
                        status = await line.ask(
                            "POST", api.path, reading.feed, body, api.content_type
                        )
                        break
                    except http_client.StaleLineError:  # a new line is none
                        self._lines.give_back(line)
                        line = self._lines.line(endpoint.url)
            if status != 200:
                refusal = _kept(line.refusal[:MOST_WORDS].decode(errors="replace"))
                error = RequestError(Fault.STATUS, f"HTTP {status}: {refusal}", status)
        except REQUEST_FAILURES as failure:
            error = _error(failure)
        finally:
            self._lines.give_back(line)
        return sent_s, error


def _error(failure: Exception) -> RequestError:
    """Return the error of a request that an exception ended."""
    fault = next(fault for kind, fault in FAULTS.items() if isinstance(failure, kind))
    words = str(failure)[:MOST_WORDS]
    if fault is not Fault.STREAM:
        words = f"{type(failure).__name__}: {words}"
    return RequestError(fault, _kept(words))


def _kept(words: str) -> str:
    """Return what a server says as it is kept: without what no file can spell, and secrets."""
    return masked(spellable(words))
