"""This module finds where a workload never fills the KV cache, and a load that would."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from objectives.allocation import Allocation
from objectives.engines.llm_server import LlmServer
from objectives.figures import COMPLETIONS
from objectives.measurement import Measurement
from objectives.traffic.workload import Workload
from study.analysis.cost.interference import by_share, values_of_llm

HALF_PCT = 50.0
PRESSED = 1.1  # tokens requested, over those that the smallest cache holds: there it must preempt


@dataclass(frozen=True, slots=True)
class LongerPrompts:
    """Prompts as much longer as this would fill the cache.

    Args:
        tokens: The least and the most tokens of a prompt.
        at_once: How many requests were in the cache at once.
        ratio: How many times as long each request must be.
        is_limit_known: Whether the model's own limit of length is known.
    """

    tokens: tuple[int, int]
    at_once: float
    ratio: float
    is_limit_known: bool


@dataclass(frozen=True, slots=True)
class MoreOfTrace:
    """So much more of a trace would fill the cache.

    Args:
        thin: The share of its requests to keep.
        speed: By what to divide its times.
    """

    thin: float
    speed: float


@dataclass(frozen=True, slots=True)
class FillingLoad:
    """A filling load asks for more tokens at once than the smallest cache holds.

    Args:
        share: The share of the memory at which that cache was measured.
        cache_tokens: The tokens that it holds.
        burst: How many requests must come at once.
        per_s: The requests a second that such bursts need.
        request_tokens: The mean tokens of a request, prompt and answer.
        too_few_seqs: The engine's own limit of requests at once, where it is below the burst.
        at_once_flag: The flag that sets that limit.
        longer: Longer prompts instead; None where they would not help or the model takes none.
        turns_per_s: The turns a second that stay beside them; 0 where there are none.
        of_trace: More of the trace that is replayed, in place of all this; None where there is
            none, or nothing was in the cache.
    """

    share: float
    cache_tokens: int
    burst: int
    per_s: float
    request_tokens: float
    too_few_seqs: int | None
    longer: LongerPrompts | None
    turns_per_s: float = 0.0
    of_trace: MoreOfTrace | None = None
    at_once_flag: str = ""


@dataclass(frozen=True, slots=True)
class UnfilledCache:
    """An unfilled KV cache was never half full, so that it cannot show what a share does.

    Args:
        peak_pct: The highest use of it, percent.
        shares: At how many shares of the memory its use is known.
        load: A load that would fill it; None where no server told its size.
    """

    peak_pct: float
    shares: int
    load: FillingLoad | None


def unfilled_cache(
    launches: Iterable[tuple[Allocation, Measurement]], workload: Workload, llm: LlmServer | None
) -> UnfilledCache | None:
    """Return what is known of a KV cache that was never half full, and what would fill it.

    None where some share had a cache under pressure, or where no server reported its KV cache.

    Args:
        launches: What was launched and measured.
        workload: The load of the launches.
        llm: What served the LLM; None where that is not known.

    >>> from objectives.engines.registry import llm_engine
    >>> from objectives.services import LlmService
    >>> calm = [
    ...     (
    ...         Allocation({"vllm_memory_util": share}),
    ...         Measurement.from_flat({"llm_kv_peak_pct": peak, "llm_kv_tokens": tokens}),
    ...     )
    ...     for share, peak, tokens in ((0.4, 20.0, 100_000), (0.6, 10.0, 200_000))
    ... ]
    >>> load = Workload(prompt_tokens=(500, 1500), output_tokens=100)
    >>> llm = llm_engine(LlmService(args=("--max-model-len", "16384")))
    >>> cache = unfilled_cache(calm, load, llm)
    >>> cache.peak_pct, cache.shares, cache.load.share, cache.load.cache_tokens
    (20.0, 2, 0.4, 100000)
    >>> cache.load.burst, cache.load.per_s, cache.load.request_tokens, cache.load.longer.tokens
    (100, 1.7, 1100.0, (3200, 8700))
    """
    pairs = list(launches)
    shares = by_share(pairs)
    peaks = [s.kv_peak_pct for s in shares if s.kv_peak_pct is not None]
    if not peaks or max(peaks) >= HALF_PCT or any(s.kv_limited for s in shares):
        return None
    sizes = [(s.kv_tokens, s.share) for s in shares if s.kv_tokens]
    if not sizes:
        return UnfilledCache(max(peaks), len(peaks), None)
    smallest, share = min(sizes)
    tokens = round(PRESSED * smallest)
    request_tokens = workload.mean_tokens
    burst = math.ceil(tokens / request_tokens)
    requests_per_s = max(t.per_s for t in workload.of_turns if t.api == COMPLETIONS)
    limits = [] if llm is None else [llm.at_once(a) for a, _ in pairs]
    max_seqs = min((n for n in limits if n is not None), default=None)
    lengths = values_of_llm([m for _, m in pairs], "max_model_len")
    max_len = min(map(int, lengths), default=None if llm is None else llm.longest_taken({}))
    in_use = max((s.kv_peak_pct or 0.0) / 100.0 * (s.kv_tokens or 0) for s in shares)
    load = FillingLoad(
        share,
        smallest,
        burst,
        max(requests_per_s, math.ceil(10 * burst / workload.window_s) / 10),
        request_tokens,
        max_seqs if max_seqs is not None and max_seqs < burst else None,
        _longer_prompts(workload, tokens, in_use, request_tokens, max_len),
        workload.turns_per_s,
        _more_of_trace(workload, tokens, in_use),
        "" if llm is None else llm.at_once_flag,
    )
    return UnfilledCache(max(peaks), len(peaks), load)


def _more_of_trace(workload: Workload, tokens: int, in_use: float) -> MoreOfTrace | None:
    """Return a thinner or faster slice that makes `tokens` out of those in use, thinner first."""
    if workload.trace is None or in_use <= 0:
        return None
    options, ratio = workload.trace.options, tokens / in_use
    thin = min(1.0, math.ceil(100 * ratio * options.thin) / 100)
    speed = max(options.speed, math.ceil(10 * options.speed * ratio * options.thin / thin) / 10)
    return MoreOfTrace(thin, speed if thin == 1 else options.speed)


def _longer_prompts(
    workload: Workload, tokens: int, in_use: float, request_tokens: float, max_len: int | None
) -> LongerPrompts | None:
    """Return prompts that make `tokens` out of those in use.

    None: less than one request is in use, or the model takes no such prompts.
    """
    if in_use < request_tokens:
        return None
    answer, ratio = workload.output_tokens, tokens / in_use
    shortest, longest = (
        math.ceil((ratio * (n + answer) - answer) / 50) * 50 for n in workload.prompt_tokens
    )
    if max_len is not None and longest + answer > max_len:
        return None
    return LongerPrompts((shortest, longest), in_use / request_tokens, ratio, bool(max_len))
