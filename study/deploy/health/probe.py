"""A probe is one real request to a service; its pages tell health, KV cache and latencies."""

from __future__ import annotations

import re
import subprocess
import time
from dataclasses import dataclass
from functools import cache

import httpx

from objectives.apis.short_requests import certificates, page, request
from objectives.engines.kv_cache import kv_cache
from objectives.traffic.clips import Clip, read_clips
from study.deploy.config.deployed import Deployed, Probe

PROBE_TOKENS = 16
BUCKET = re.compile(
    r'^(?:vllm:)?e2e_request_latency_seconds_bucket\{[^}]*le="([^"]+)"[^}]*\} (\S+)', re.MULTILINE
)


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
    try:
        match probe.kind:
            case "command":
                done = subprocess.run(
                    probe.argv, capture_output=True, timeout=probe.timeout_s, check=False
                )
                return f"{probe.argv[0]} exited with {done.returncode}" if done.returncode else None
            case "completion":
                body = {
                    "model": probe.model,
                    "prompt": "Say yes.",
                    "max_tokens": PROBE_TOKENS,
                    "ignore_eos": True,
                }
                answer = request("POST", str(probe.url), timeout_s=probe.timeout_s, json=body)
                is_good = answer.status_code == 200 and bool(answer.json()["choices"][0]["text"])
            case _:
                clip = _clip()
                answer = request(
                    "POST",
                    str(probe.url),
                    timeout_s=probe.timeout_s,
                    files={"file": (clip.name, clip.audio, "audio/flac")},
                    data={"model": probe.model},
                )
                is_good = answer.status_code == 200 and bool(answer.json()["text"].strip())
    except subprocess.TimeoutExpired:
        return f"{probe.argv[0]} took longer than {probe.timeout_s:g} s"
    except (OSError, httpx.HTTPError) as error:
        return f"{type(error).__name__}: {error}"
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return f"an answer that is no {probe.kind}"
    return None if is_good else f"HTTP {answer.status_code}: {answer.text[:120]!r}"


@cache
def _clip() -> Clip:
    return min(read_clips("assistant"), key=lambda c: c.seconds)


def kv_tokens(service: Deployed) -> int | None:
    """Return the tokens in the running server's KV cache; None where it does not tell."""
    return kv_cache(page(service.metrics_url) or "", "").tokens


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
    for bound, n in BUCKET.findall(text):
        summed[float(bound)] = summed.get(float(bound), 0.0) + float(n)
    return RequestCounters(tuple(sorted(summed.items()))) if summed else None
