"""Sends the workload to both servers at once and times the answers. The only asynchronous file."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import httpx

from objectives.capacity import Rung, next_rung, verdict
from objectives.clips import Clip
from objectives.measurement import Reply, quantile
from objectives.workload import Request, Workload, prompt

ENGINE_POLL_S = 0.25
KV_FULL_PCT = 99.0
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


@dataclass(frozen=True, slots=True)
class Slo:
    """p95 limits of both services, milliseconds."""

    stt_p95_ms: float
    llm_p95_ms: float


@dataclass(slots=True)
class Window:
    """What came back, what the engine said meanwhile, and why it ended early if it did."""

    replies: list[Reply] = field(default_factory=list)
    kv_peak_pct: float | None = None
    preemptions: int | None = None
    aborted: str | None = None


@dataclass(slots=True)
class _Connection:
    """The clients of one window and the clock that its replies share."""

    endpoints: Endpoints
    clips: Sequence[Clip]
    timeout_s: float
    client: httpx.AsyncClient

    async def send(self, request: Request, start_s: float) -> Reply:
        """One scheduled request: sleep until its time, send, wait for the whole answer."""
        ids = (
            prompt(request.prompt_tokens, request.seed, self.endpoints.vocabulary or 0)
            if (request.service == "llm" and self.endpoints.vocabulary)
            else None
        )
        scheduled_s = start_s + request.at_s
        await asyncio.sleep(max(0.0, scheduled_s - time.monotonic()))
        if request.service == "stt":
            return await self.transcribe(request.clip, scheduled_s)
        return await self.complete(
            ids or _words(request.prompt_tokens, request.seed), request.output_tokens, scheduled_s
        )

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

    async def complete(self, text: list[int] | str, tokens: int, scheduled_s: float) -> Reply:
        """One streamed completion of a fixed length; the stream's body is read for errors."""
        body = {
            "model": self.endpoints.model,
            "prompt": text,
            "max_tokens": tokens,
            "temperature": 0,
            "ignore_eos": True,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        content = json.dumps(body)
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


def _words(tokens: int, seed: int) -> str:
    """A prompt of common short words for servers that take no token ids: about one token a word."""
    words = ("red", "old", "sun", "map", "ice", "dog", "box", "pen", "cup", "hat")
    return " ".join(words[i % 10] for i in prompt(tokens, seed, 1000))


def drive(
    endpoints: Endpoints,
    clips: Sequence[Clip],
    requests: Sequence[Request],
    *,
    timeout_s: float,
    broken: Callable[[], str | None],
) -> Window:
    """Replay scheduled requests open loop, both services at once, until the last has answered.

    broken: asked a few times a second; a sentence ends the window (a server has died, a tenant has)
    """
    return asyncio.run(_drive(endpoints, clips, requests, timeout_s, broken))


async def _drive(
    endpoints: Endpoints,
    clips: Sequence[Clip],
    requests: Sequence[Request],
    timeout_s: float,
    broken: Callable[[], str | None],
) -> Window:
    window = Window()
    async with _client() as client:
        connection = _Connection(endpoints, clips, timeout_s, client)
        _, before = await connection.engine()
        start_s = time.monotonic() + 0.2
        pending = {asyncio.create_task(connection.send(r, start_s)) for r in requests}
        preempted = before
        while pending and window.aborted is None:
            done, pending = await asyncio.wait(pending, timeout=ENGINE_POLL_S, return_when=asyncio.ALL_COMPLETED)
            for task in done:
                window.replies.append(task.result())
                if is_fatal(task.result()):
                    window.aborted = task.result().complaint
            window.aborted = window.aborted or broken()
            usage, now = await connection.engine()
            preempted = preempted if now is None else now
            if usage is not None:
                window.kv_peak_pct = max(usage, window.kv_peak_pct or 0.0)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
    if before is not None and preempted is not None:
        window.preemptions = preempted - before
    return window


def _client() -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=60)
    return httpx.AsyncClient(timeout=None, limits=limits, trust_env=False)  # noqa: S113  asyncio.timeout bounds the whole


def one_by_one(
    endpoints: Endpoints, clips: Sequence[Clip], requests: Sequence[Request], *, timeout_s: float
) -> list[Reply]:
    """Send requests one after the other, each alone, each due when the one before has ended."""

    async def run() -> list[Reply]:
        replies = []
        async with _client() as client:
            connection = _Connection(endpoints, clips, timeout_s, client)
            for request in requests:
                replies.append(await connection.send(request, time.monotonic() - request.at_s))
                if is_fatal(replies[-1]):
                    break
        return replies

    return asyncio.run(run())


def climb(
    endpoints: Endpoints,
    clips: Sequence[Clip],
    workload: Workload,
    slo: Slo,
    *,
    start: int,
    broken: Callable[[], str | None],
    on_rung: Callable[[int], None],
) -> tuple[list[Rung], str | None]:
    """The capacity ladder, bounded by `workload.ladder_s`; the second value says why it was aborted, if it was."""

    async def run() -> tuple[list[Rung], str | None]:
        rungs: list[Rung] = []
        deadline = time.monotonic() + workload.ladder_s
        async with _client() as client:
            connection = _Connection(endpoints, clips, workload.request_timeout_s, client)
            while time.monotonic() < deadline:
                tried = {r.sessions: r.passed for r in rungs if r.passed is not None}
                sessions = next_rung(tried, start, workload.ladder_max_sessions)
                if sessions is None:
                    break
                on_rung(sessions)
                rung, aborted = await _rung(connection, workload, slo, sessions, deadline, broken)
                rungs.append(rung)
                if aborted or rung.passed is None:
                    return rungs, aborted
        return rungs, None

    return asyncio.run(run())


async def _rung(
    connection: _Connection,
    workload: Workload,
    slo: Slo,
    sessions: int,
    deadline: float,
    broken: Callable[[], str | None],
) -> tuple[Rung, str | None]:
    """Hold this many voice sessions until both services are decided, one breaks, or the time is up."""
    turns: list[tuple[Reply, Reply]] = []
    replies: dict[str, list[float]] = {"stt": [], "llm": []}
    limits = {"stt": slo.stt_p95_ms, "llm": slo.llm_p95_ms}
    aborted: list[str] = []

    async def session(number: int) -> None:
        seed = workload.seed * 100_003 + sessions * 1009 + number
        await asyncio.sleep(workload.session_pause_s * number / sessions)
        vocabulary = connection.endpoints.vocabulary
        length, turn = workload.session_prompt_tokens, 0
        while True:
            heard = await connection.transcribe((number * 7 + turn) % len(connection.clips), time.monotonic())
            replies["stt"].append(heard.latency_ms)
            text = prompt(length, seed, vocabulary) if vocabulary else _words(length, seed)
            said = await connection.complete(text, workload.output_tokens, time.monotonic())
            replies["llm"].append(said.latency_ms)
            turns.append((heard, said))
            aborted.extend(r.complaint or "" for r in (heard, said) if is_fatal(r))
            length = min(length + workload.session_turn_tokens, workload.prompt_tokens[1])
            turn += 1
            await asyncio.sleep(workload.session_pause_s)

    tasks = [asyncio.create_task(session(n)) for n in range(sessions)]
    kv_full = False
    passed: bool | None = None
    bound_by = None
    while True:
        await asyncio.sleep(ENGINE_POLL_S)
        verdicts = {s: verdict(len(v), sum(x > limits[s] for x in v)) for s, v in replies.items()}
        usage, _ = await connection.engine()
        kv_full = kv_full or (usage is not None and usage >= KV_FULL_PCT)
        if False in verdicts.values():
            passed = False
            first = next(s for s, v in verdicts.items() if v is False)
            bound_by = "kv" if first == "llm" and kv_full else first
            break
        if all(verdicts.values()):
            passed = True
            break
        if (reason := broken()) is not None:
            aborted.append(reason)
        if aborted or time.monotonic() > deadline:
            break
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    felt = [
        (said.first_s - heard.scheduled_s) * 1000.0 if said.first_s and not heard.error else float("inf")
        for heard, said in turns
    ]
    rung = Rung(
        sessions,
        passed,
        len(replies["stt"]),
        len(replies["llm"]),
        bound_by,
        quantile(felt, 0.5),
        quantile(felt, 0.95),
    )
    return rung, aborted[0] if aborted else None
