"""Warn where a workload never fills the KV cache, so that it cannot show what a share does."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from objectives.allocation import Allocation
from objectives.measurement import Measurement
from objectives.traffic.workload import Workload
from study.analysis.interference import ShareSummary, by_share, figures

HALF_PCT = 50.0
PRESSED = 1.1  # tokens requested, over those that the smallest cache holds: there it must preempt


def share_warnings(
    shares: Sequence[ShareSummary],
    workload: Workload,
    *,
    max_model_len: int | None = None,
    max_num_seqs: int | None = None,
) -> list[str]:
    """Warn where the KV cache was never half full, and name a workload that would fill it.

    Empty where some share had a cache under pressure, or where no server reported its KV cache.

    Args:
        shares: the shares that were measured
        workload: the load of the launches
        max_model_len: the engine's own limit of tokens in a request; None where it is not known
        max_num_seqs: the engine's own limit of requests at once; None where it is not known

    >>> calm = [
    ...     ShareSummary(0.4, 1, None, None, 20.0, 100_000, False),
    ...     ShareSummary(0.6, 1, None, None, 10.0, 200_000, False),
    ... ]
    >>> load = Workload(prompt_tokens=(500, 1500), output_tokens=100)
    >>> for line in share_warnings(calm, load, max_model_len=16384):
    ...     print(line)  # doctest: +NORMALIZE_WHITESPACE
    the KV cache was never more than 20 % full at any of the 2 shares measured:
        this workload cannot show what the memory share does
    one that would: `workload: {llm_burst: 100, llm_per_s: 1.7}` (100 requests of about 1,100
        tokens at once ask for 1.1 x the 100,000 tokens that the cache holds at 40 %)
    or `workload: {prompt_tokens: [3200, 8700]}` (about 18 requests were in the cache at once;
        each must be 5.5 x as long)
    """
    peaks = [s.kv_peak_pct for s in shares if s.kv_peak_pct is not None]
    if not peaks or max(peaks) >= HALF_PCT or any(s.kv_limited for s in shares):
        return []
    where = (
        f"any of the {len(peaks)} shares measured" if len(peaks) > 1 else "the one share measured"
    )
    lines = [
        f"the KV cache was never more than {max(peaks):.0f} % full at {where}: "
        "this workload cannot show what the memory share does"
    ]
    sizes = [(s.kv_tokens, s.share) for s in shares if s.kv_tokens]
    if not sizes:
        unknown = (
            "how many tokens the cache holds was not told, "
            "so no workload that fills it can be worked out"
        )
        return [*lines, unknown]
    smallest, share = min(sizes)
    tokens = round(PRESSED * smallest)
    in_use = max((s.kv_peak_pct or 0.0) / 100.0 * (s.kv_tokens or 0) for s in shares)
    cache = f"{smallest:,} tokens that the cache holds at {100 * share:g} %"
    return [
        *lines,
        f"{_burst(workload, tokens, max_num_seqs)} ask for {PRESSED:g} x the {cache})",
        *_longer_prompts(workload, tokens, in_use, max_model_len),
    ]


def _request_tokens(workload: Workload) -> float:
    """Return the mean tokens of a request, prompt and answer."""
    return sum(workload.prompt_tokens) / 2 + workload.output_tokens


def _burst(workload: Workload, tokens: int, max_num_seqs: int | None) -> str:
    """Name a workload whose burst asks for this many tokens at once, with an open bracket."""
    request = _request_tokens(workload)
    burst = math.ceil(tokens / request)
    per_s = max(workload.llm_per_s, math.ceil(10 * burst / workload.window_s) / 10)
    is_enough = max_num_seqs is None or max_num_seqs >= burst
    least = "" if is_enough else f", with `--max-num-seqs {burst}` instead of {max_num_seqs}"
    return (
        f"one that would{least}: `workload: {{llm_burst: {burst}, llm_per_s: {per_s:g}}}` "
        f"({burst} requests of about {request:,.0f} tokens at once"
    )


def _longer_prompts(
    workload: Workload, tokens: int, in_use: float, max_model_len: int | None
) -> list[str]:
    """Offer prompts as much longer as would fill the cache, where the model takes them."""
    request, answer = _request_tokens(workload), workload.output_tokens
    if in_use < request:
        return []
    ratio = tokens / in_use
    shortest, longest = (
        math.ceil((ratio * (n + answer) - answer) / 50) * 50 for n in workload.prompt_tokens
    )
    if max_model_len is not None and longest + answer > max_model_len:
        return []
    unsure = "" if max_model_len else "; the model's own limit of length was not told"
    return [
        f"or `workload: {{prompt_tokens: [{shortest}, {longest}]}}` "
        f"(about {in_use / request:.0f} requests were in the cache at once; "
        f"each must be {ratio:.1f} x as long{unsure})"
    ]


def limits(
    launches: Iterable[tuple[Allocation, Measurement]], args: Sequence[str]
) -> Mapping[str, int | None]:
    """Return the least `max_model_len` and `max_num_seqs` of the launches, None where unknown.

    The first is what the engine reported; the second is what the search or the flags set.
    """
    pairs = list(launches)
    lengths = figures([m for _, m in pairs], "llm_max_model_len")
    seqs = [int(n) for a, _ in pairs if (n := a.options("vllm.").get("max_num_seqs")) is not None]
    for name, values in (("--max-model-len", lengths), ("--max-num-seqs", seqs)):
        if not values and name in args[:-1]:
            values.append(int(args[args.index(name) + 1]))
    return {"max_model_len": min(lengths, default=None), "max_num_seqs": min(seqs, default=None)}


def warnings(
    launches: Iterable[tuple[Allocation, Measurement]], workload: Workload, args: Sequence[str]
) -> list[str]:
    """Return `share_warnings` with the limits that the servers were started with."""
    pairs = list(launches)
    return share_warnings(by_share(pairs), workload, **limits(pairs, args))
