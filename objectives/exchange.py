"""One request and its answer: what is sent to each server, and what counts as a reply."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from objectives.clips import Clip
from objectives.measurement import Reply
from objectives.workload import Request, prompt

FATAL = ("HTTP 5", "error in the stream", "ConnectError", "RemoteProtocolError", "ReadError", "WriteError")


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
    """The clients of one window and the clock that its replies share."""

    endpoints: Endpoints
    clips: Sequence[Clip]
    timeout_s: float
    client: httpx.AsyncClient

    def prepared(self, request: Request) -> bytes:
        """The body of an LLM request, made before the clock runs: 24 long prompts at once would leave late."""
        if request.service == "stt":
            return b""
        tokens, vocabulary = request.prompt_tokens, self.endpoints.vocabulary
        text = prompt(tokens, request.seed, vocabulary) if vocabulary else words(tokens, request.seed)
        return self.body(text, request.output_tokens)

    async def send(self, request: Request, start_s: float, body: bytes) -> Reply:
        """One scheduled request with its prepared body: sleep until its time, send, wait for the whole answer."""
        scheduled_s = start_s + request.at_s
        await asyncio.sleep(max(0.0, scheduled_s - time.monotonic()))
        if request.service == "stt":
            return await self.transcribe(request.clip, scheduled_s)
        return await self.complete(body, scheduled_s)

    async def transcribe(self, clip_number: int, scheduled_s: float) -> Reply:
        """One clip through /v1/audio/transcriptions."""
        clip = self.clips[clip_number]
        sent_s = time.monotonic()
        text = error = None
        try:
            async with asyncio.timeout(self.timeout_s):
                answer = await self.client.post(
                    f"{self.endpoints.stt_url}/v1/audio/transcriptions",
                    files={"file": (clip.name, clip.audio, "audio/flac")},
                    data={"model": "whisper-1", "response_format": "json"},
                )
            if answer.status_code == 200:
                text = str(answer.json()["text"])
                error = None if text.strip() else "empty answer"
            else:
                error = f"HTTP {answer.status_code}: {answer.text[:300]}"
        except (httpx.HTTPError, TimeoutError, ValueError, KeyError) as failure:
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

    async def complete(self, content: bytes, scheduled_s: float) -> Reply:
        """One streamed completion; the stream's body is read for errors."""
        sent_s = time.monotonic()
        first_s = count = error = None
        try:
            async with (
                asyncio.timeout(self.timeout_s),
                self.client.stream(
                    "POST",
                    f"{self.endpoints.llm_url}/v1/completions",
                    content=content,
                    headers={"Content-Type": "application/json"},
                ) as answer,
            ):
                if answer.status_code != 200:
                    error = f"HTTP {answer.status_code}: {(await answer.aread())[:300].decode(errors='replace')}"
                else:
                    async for line in answer.aiter_lines():
                        if not line.startswith("data: {"):
                            continue
                        part = json.loads(line[6:])
                        if "error" in part:
                            error = f"error in the stream: {part['error']}"[:300]
                            break
                        if part.get("choices") and first_s is None:
                            first_s = time.monotonic()
                        if part.get("usage"):
                            count = int(part["usage"]["completion_tokens"])
        except (httpx.HTTPError, TimeoutError, ValueError, KeyError) as failure:
            error = f"{type(failure).__name__}: {failure}"
        end_s = time.monotonic()
        if error is None and (first_s is None or count == 0):
            error = "empty answer"
        return Reply(
            service="llm",
            scheduled_s=scheduled_s,
            sent_s=sent_s,
            first_s=None if error else first_s,
            end_s=None if error else end_s,
            tokens=count,
            error=error,
        )

    async def engine(self) -> tuple[float | None, int | None]:
        """KV cache usage in percent and preemptions so far; None where the server does not tell."""
        if self.endpoints.metrics_path is None:
            return None, None
        try:
            text = (await self.client.get(self.endpoints.llm_url + self.endpoints.metrics_path, timeout=10)).text
        except httpx.HTTPError:
            return None, None
        usage, preempted = (
            metric(text, "vllm:kv_cache_usage_perc"),
            metric(text, "vllm:num_preemptions_total"),
        )
        return None if usage is None else usage * 100.0, None if preempted is None else int(preempted)


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


def connecting() -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=60)
    return httpx.AsyncClient(timeout=None, limits=limits, trust_env=False)  # noqa: S113  asyncio.timeout bounds the whole
