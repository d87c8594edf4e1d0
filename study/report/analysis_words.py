"""This module puts in words what is known of memory shares, KV cache and Pareto set; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from objectives.figures import CAPACITY, figure, service_name
from study.analysis.category import Category
from study.analysis.cost.interference import ShareSummary
from study.analysis.cost.kv_cache import PRESSED, FillingLoad, UnfilledCache
from study.analysis.pareto import ParetoFigures
from study.spec.choices import APIS

CATEGORY_WORDS: Mapping[Category, str] = {
    Category.WINNER: "winner",
    Category.BASELINE: "in use today",
    Category.INELIGIBLE: "held back",
    Category.WORKS: "works",
    Category.GIVEN_UP: "given up",
    Category.OVER: "over a limit",
    Category.FAILED: "does not work",
}


def share_table(shares: Sequence[ShareSummary]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the head and the rows of the shares; what was not measured is a dash."""
    measured = dict.fromkeys(name for s in shares for name in s.interference)
    services = [*(n for n in APIS if n in measured or not measured)]
    services += [n for n in measured if n not in APIS]
    times = (f"{service_name(name)}: together / alone" for name in services)
    head = ("LLM share", "launches", *times, "KV peak %", "KV tokens")
    return head, [_share_row(s, services) for s in shares]


def _share_row(s: ShareSummary, services: Sequence[str]) -> tuple[str, ...]:
    ratios = (s.interference.get(name) for name in services)
    times = ("-" if x is None else f"{x:.2f} x" for x in ratios)
    peak = "-" if s.kv_peak_pct is None else f"{s.kv_peak_pct:.0f}"
    tokens = "-" if s.kv_tokens is None else f"{s.kv_tokens:,}"
    if (s.kv_tokens_most or 0) > (s.kv_tokens or 0):
        tokens += f" to {s.kv_tokens_most:,}"
    return (f"{100 * s.share:.4g} %", str(s.launches), *times, peak, tokens)


def cache_warnings(cache: UnfilledCache | None) -> list[str]:
    """Warn that the KV cache was never half full, and name a workload that would fill it.

    >>> from study.analysis.cost.kv_cache import LongerPrompts
    >>> longer = LongerPrompts((3200, 8700), 18.2, 5.5, is_limit_known=True)
    >>> load = FillingLoad(0.4, 100_000, 100, 1.7, 1100.0, None, longer)
    >>> for line in cache_warnings(UnfilledCache(20.0, 2, load)):
    ...     print(line)  # doctest: +NORMALIZE_WHITESPACE
    the KV cache was never more than 20 % full at any of the 2 shares measured:
        this workload cannot show what the memory share does
    one that would: `workload: {llm_burst: 100, llm_per_s: 1.7}` (100 requests of about 1,100
        tokens at once ask for 1.1 x the 100,000 tokens that the cache holds at 40 %)
    or `workload: {prompt_tokens: [3200, 8700]}` (about 18 requests were in the cache at once;
        each must be 5.5 x as long)
    """
    if cache is None:
        return []
    where = (
        f"any of the {cache.shares} shares measured"
        if cache.shares > 1
        else "the one share measured"
    )
    unfilled = (
        f"the KV cache was never more than {cache.peak_pct:.0f} % full at {where}: "
        "this workload cannot show what the memory share does"
    )
    if cache.load is None:
        unknown = "how many tokens the cache holds was not told"
        return [unfilled, f"{unknown}, so no workload that fills it can be worked out"]
    return [unfilled, *_remedies(cache.load)]


def _remedies(load: FillingLoad) -> list[str]:
    if (more := load.of_trace) is not None:
        return [
            f"one that would: `workload: {{thin: {more.thin:g}, speed: {more.speed:g}}}` beside "
            f"the trace (it asks for {PRESSED:g} x the {load.cache_tokens:,} tokens that the cache "
            f"holds at {100 * load.share:g} %)"
        ]
    least = ""
    if load.too_few_seqs is not None:
        least = f", with `{load.at_once_flag} {load.burst}` instead of {load.too_few_seqs}"
    turns = f"turns_per_s: {load.turns_per_s:g}, " if load.turns_per_s else ""
    lines = [
        f"one that would{least}: "
        f"`workload: {{{turns}llm_burst: {load.burst}, llm_per_s: {load.per_s:g}}}` "
        f"({load.burst} requests of about {load.request_tokens:,.0f} tokens at once ask for "
        f"{PRESSED:g} x the {load.cache_tokens:,} tokens that the cache holds at "
        f"{100 * load.share:.4g} %)"
    ]
    if (longer := load.longer) is not None:
        unsure = "" if longer.is_limit_known else "; the model's own limit of length was not told"
        lines.append(
            f"or `workload: {{prompt_tokens: [{longer.tokens[0]}, {longer.tokens[1]}]}}` "
            f"(about {longer.at_once:.0f} requests were in the cache at once; "
            f"each must be {longer.ratio:.1f} x as long{unsure})"
        )
    return lines


def pareto_figures_in_words(figures: ParetoFigures) -> str:
    """List the figures that the Pareto set compares, as a sentence takes them.

    >>> pareto_figures_in_words(ParetoFigures((CAPACITY, "free_memory_mib"), True))
    'capacity (some are lower bounds), free memory up to the headroom'
    """
    special = {"free_memory_mib": "free memory up to the headroom"}
    if figures.has_lower_bounds:
        special[CAPACITY] = f"{figure(CAPACITY).short} (some are lower bounds)"
    return ", ".join(special.get(name, figure(name).short) for name in figures.names)
