"""What any of the engines of an LLM may say, asked of all where nobody knows which one it is."""

from __future__ import annotations

from objectives.apis.metrics_page import CachePage
from objectives.engines.engine import LLM_ENGINES

LATENCIES = "e2e_request_latency_seconds"  # of whole requests, where a page names no engine


def cache_on(page: str) -> CachePage:
    """Return what a Prometheus page tells of a KV cache, whichever engine wrote it."""
    told = (kind.on_page(page) for kind in LLM_ENGINES.values())
    return next((cache for cache in told if cache != CachePage()), CachePage())


def latency_histograms() -> tuple[str, ...]:
    """Return the names of the histograms of whole requests' latencies."""
    return (LATENCIES, *(kind.latencies for kind in LLM_ENGINES.values() if kind.latencies))


def compile_caches() -> dict[str, str]:
    """Return the folders in ~/.cache in which engines compile, by the variable that moves each."""
    return dict(kind.compile_cache for kind in LLM_ENGINES.values() if all(kind.compile_cache))
