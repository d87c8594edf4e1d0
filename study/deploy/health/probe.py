"""A probe is one real request to a service; its pages tell health, KV cache and latencies."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

from objectives.apis.chat import answered, message
from objectives.apis.completions import completed
from objectives.apis.metrics_page import amount, samples
from objectives.apis.short_requests import NoAnswer, certificates, page, request
from objectives.apis.texts import Embeddings, Rerank, Speech
from objectives.apis.transcription import transcript
from objectives.engines.every import cache_on, latency_histograms
from objectives.plain_data.masked import masked
from objectives.traffic.clips import Clip, read_clips
from objectives.traffic.workload import Request
from study.deploy.config.deployed import Deployed, Probe

PROBE_TOKENS = 16
SAY = "Say yes."


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """A result says what came of one probe.

    Args:
        latency_ms: How long the answer took, ms; None where there was none.
        error: Why it failed; None where it did not.
    """

    latency_ms: float | None
    error: str | None = None


def send_probe(probe: Probe) -> ProbeResult | None:
    """Send one probe; None where the service has none."""
    if probe.kind == "none":
        return None
    certificates()  # are no part of what the service takes
    began = time.monotonic()
    error = _error(probe)
    return ProbeResult(None, error) if error else ProbeResult((time.monotonic() - began) * 1000.0)


def _error(probe: Probe) -> str | None:
    if probe.kind == "command":
        return _error_of_command(probe)
    try:
        answer = request("POST", str(probe.url), within_s=probe.timeout_s, **_body(probe))
        if answer.status == 200 and _is_whole(probe, answer.body):
            return None
    except NoAnswer as error:
        return str(error)
    except ValueError:
        return f"an answer that is no {probe.kind}"
    return f"HTTP {answer.status}: {masked(answer.text[:120])!r}"


def _body(probe: Probe) -> dict[str, Any]:
    """Return what is sent, as httpx takes it."""
    if probe.kind in ("completion", "chat"):
        prompt = {"prompt": SAY} if probe.kind == "completion" else message(SAY)
        length = {"max_tokens": PROBE_TOKENS, "ignore_eos": True}
        return {"json": {"model": probe.model, **prompt, **length}}
    if probe.kind == "transcription":
        clip = _clip()
        sound = (clip.name, clip.audio, "audio/flac")
        return {"files": {"file": sound}, "data": {"model": probe.model}}
    request = Request(probe.kind, 0.0, PROBE_TOKENS)
    return {"json": json.loads(_of_texts(probe).body(request, ()))}


def _is_whole(probe: Probe, body: bytes) -> bool:
    """Tell whether an answer has content.

    Raises:
        ValueError: It is not what the API promises.
    """
    if probe.kind == "completion":
        return bool(completed(body).strip())
    if probe.kind == "chat":
        return bool(answered(body).strip())
    if probe.kind == "transcription":
        return bool(transcript(body).strip())
    return not _of_texts(probe).read(body).is_empty


def _of_texts(probe: Probe) -> Embeddings | Rerank | Speech:
    match probe.kind:
        case "embeddings":
            return Embeddings(probe.model, 1)
        case "rerank":
            return Rerank(probe.model, 1)
        case _:
            return Speech(probe.model)


def _error_of_command(probe: Probe) -> str | None:
    quiet = subprocess.DEVNULL  # it may write without end
    try:
        done = subprocess.run(
            probe.argv, stdout=quiet, stderr=quiet, timeout=probe.timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        return f"{probe.argv[0]} took longer than {probe.timeout_s:g} s"
    except OSError as error:
        return f"{type(error).__name__}: {error}"
    return f"{probe.argv[0]} exited with {done.returncode}" if done.returncode else None


@cache
def _clip() -> Clip:
    return min(read_clips("assistant"), key=lambda c: c.seconds)


def kv_tokens(service: Deployed) -> int | None:
    """Return the tokens in the running server's KV cache; None where it does not tell."""
    return cache_on(page(service.metrics_url) or "").tokens


@dataclass(frozen=True, slots=True)
class RequestCounters:
    """The counters of a service's own traffic say how fast requests were answered.

    Args:
        buckets: An upper bound of the latency in s, and how many requests were answered within it.
    """

    buckets: tuple[tuple[float, float], ...]

    def since(self, before: RequestCounters) -> RequestCounters:
        """Return what was added; nothing where the counters began anew or have other bounds."""
        old = dict(before.buckets)
        if [b for b, _ in self.buckets] != [b for b, _ in before.buckets]:
            return RequestCounters(())
        added = tuple((bound, n - old[bound]) for bound, n in self.buckets)
        return RequestCounters(added) if all(n >= 0 for _, n in added) else RequestCounters(())

    @property
    def requests(self) -> int:
        """Return how many requests were answered."""
        return int(self.buckets[-1][1]) if self.buckets else 0

    @property
    def p95_ms(self) -> float | None:
        """Return their 95th percentile in ms as Prometheus reckons it; None without requests.

        >>> RequestCounters(((1.0, 90.0), (2.0, 100.0), (float("inf"), 100.0))).p95_ms
        1500.0
        """
        rank, below, lower = 0.95 * self.requests, 0.0, 0.0
        for bound, n in self.buckets:
            if n >= rank and n > below:
                upper = bound if bound != float("inf") else lower
                return 1000.0 * (lower + (upper - lower) * (rank - below) / (n - below))
            below, lower = n, bound
        return None


def read_counters(service: Deployed) -> RequestCounters | None:
    """Read the counters now, summed over what the page lists apart; None without such a page."""
    text = page(service.metrics_url)
    if text is None:
        return None
    summed: dict[float, float] = {}
    for name in latency_histograms():
        for labels, n in samples(text, f"{name}_bucket"):
            if (bound := _bound(labels.get("le", ""))) is not None:
                summed[bound] = summed.get(bound, 0.0) + n
    return RequestCounters(tuple(sorted(summed.items()))) if summed else None


def _bound(text: str) -> float | None:
    """Return the bound of a bucket, s; None for what is none."""
    return float("inf") if text == "+Inf" else amount(text)
