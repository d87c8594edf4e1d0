"""Does sharing hurt, and does the LLM's share of the memory matter under this workload? From measurements. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from objectives.allocation import Allocation
from objectives.measurement import INFINITE, Measurement
from objectives.traffic.workload import Workload

HALF_PCT = 50.0
PRESSED = 1.1  # tokens asked for, over those that the smallest cache holds: there it must preempt
HEAD = (
    "LLM share",
    "launches",
    "speech: together / alone",
    "LLM: together / alone",
    "KV peak %",
    "KV tokens",
)


@dataclass(frozen=True, slots=True)
class Shared:
    """What was measured at one share of the memory: medians of the interference, the highest peak of the KV cache.

    interference_stt, interference_llm: median latency together / alone, x; None where not measured
    kv_tokens, kv_tokens_most: what the smallest and the largest cache of this share hold
    kv_limited: whether some capacity ladder ended at a full KV cache
    """

    share: float
    launches: int
    interference_stt: float | None
    interference_llm: float | None
    kv_peak_pct: float | None
    kv_tokens: int | None
    kv_limited: bool
    kv_tokens_most: int | None = None

    def texts(self) -> tuple[str, ...]:
        """The cells of a table's row; what was not measured is a dash."""
        times = (
            ("-" if x is None else f"{x:.2f} x")
            for x in (self.interference_stt, self.interference_llm)
        )
        peak = "-" if self.kv_peak_pct is None else f"{self.kv_peak_pct:.0f}"
        tokens = "-" if self.kv_tokens is None else f"{self.kv_tokens:,}"
        tokens += (
            f" to {self.kv_tokens_most:,}"
            if (self.kv_tokens_most or 0) > (self.kv_tokens or 0)
            else ""
        )
        return (f"{100 * self.share:g} %", str(self.launches), *times, peak, tokens)


def by_share(known: Iterable[tuple[Allocation, Measurement]]) -> list[Shared]:
    """One line a share that was measured, the smallest first."""
    found: dict[float, list[Measurement]] = {}
    for allocation, m in known:
        found.setdefault(allocation.share, []).append(m)
    return [
        Shared(
            share,
            len(group),
            _middle(m.figure("stt_interference") for m in group),
            _middle(m.figure("llm_interference") for m in group),
            max(_told(group, "llm_kv_peak_pct"), default=None),
            min(_told(group, "llm_kv_tokens"), default=None),
            any(m.capacity_bound_by == "kv" for m in group),
            max(_told(group, "llm_kv_tokens"), default=None),
        )
        for share, group in sorted(found.items())
    ]


def _told(group: Sequence[Measurement], name: str) -> list[Any]:
    return [value for m in group if (value := m.figure(name)) is not None]


def _middle(values: Iterable[float | None]) -> float | None:
    known = [v for v in values if v is not None and v != INFINITE]
    return median(known) if known else None


def unpressed(
    found: Sequence[Shared],
    workload: Workload,
    *,
    max_model_len: int | None = None,
    max_num_seqs: int | None = None,
) -> list[str]:
    """What to say where the KV cache was never half full: that nothing was shown, and the workload that would.

    Empty where some share was pressed, or where no server told its KV cache. max_num_seqs: the engine's own limit

    >>> calm = [Shared(0.4, 1, None, None, 20.0, 100_000, False), Shared(0.6, 1, None, None, 10.0, 200_000, False)]
    >>> for said in unpressed(calm, Workload(prompt_tokens=(500, 1500), output_tokens=100), max_model_len=16384):
    ...     print(said)
    the KV cache was never more than 20 % full at any of the 2 shares measured: this workload cannot show what the memory share does
    one that would: `workload: {llm_burst: 100, llm_per_s: 1.7}` (100 requests of about 1,100 tokens at once ask for 1.1 x the 100,000 tokens that the cache holds at 40 %)
    or `workload: {prompt_tokens: [3200, 8700]}` (about 18 requests were in the cache at once; each must be 5.5 x as long)
    """  # noqa: E501  one sentence a line
    peaks = [s.kv_peak_pct for s in found if s.kv_peak_pct is not None]
    if not peaks or max(peaks) >= HALF_PCT or any(s.kv_limited for s in found):
        return []
    where = (
        f"any of the {len(peaks)} shares measured" if len(peaks) > 1 else "the one share measured"
    )
    said = [
        f"the KV cache was never more than {max(peaks):.0f} % full at {where}: "
        "this workload cannot show what the memory share does"
    ]
    sizes = [(s.kv_tokens, s.share) for s in found if s.kv_tokens]
    if not sizes:
        return [
            *said,
            "how many tokens the cache holds was not told, so no workload that fills it can be worked out",
        ]
    smallest, share = min(sizes)
    wanted = round(PRESSED * smallest)
    one = sum(workload.prompt_tokens) / 2 + workload.output_tokens
    burst = math.ceil(wanted / one)
    per_s = max(workload.llm_per_s, math.ceil(10 * burst / workload.window_s) / 10)
    enough = max_num_seqs is None or max_num_seqs >= burst
    least = "" if enough else f", with `--max-num-seqs {burst}` instead of {max_num_seqs}"
    said.append(
        f"one that would{least}: `workload: {{llm_burst: {burst}, llm_per_s: {per_s:g}}}` ({burst} requests of about "
        f"{one:,.0f} tokens at once ask for {PRESSED:g} x the {smallest:,} tokens that the cache holds at "
        f"{100 * share:g} %)"
    )
    in_use = max((s.kv_peak_pct or 0.0) / 100.0 * (s.kv_tokens or 0) for s in found)
    if in_use < one:
        return said
    ratio = wanted / in_use
    longer = [math.ceil((ratio * (n + workload.output_tokens) - workload.output_tokens) / 50) * 50
              for n in workload.prompt_tokens]  # fmt: skip
    if max_model_len is None or longer[1] + workload.output_tokens <= max_model_len:
        held = f"about {in_use / one:.0f} requests were in the cache at once; each must be {ratio:.1f} x as long"
        unsure = "" if max_model_len else "; the model's own limit of length was not told"
        said.append(
            f"or `workload: {{prompt_tokens: [{longer[0]}, {longer[1]}]}}` ({held}{unsure})"
        )
    return said


def limits(
    known: Iterable[tuple[Allocation, Measurement]], args: Sequence[str]
) -> Mapping[str, int | None]:
    """`max_model_len` as the engine told it, and `max_num_seqs` where flags or the search set it: the least of each."""
    found = list(known)
    lengths = _told([m for _, m in found], "llm_max_model_len")
    seqs = [int(n) for a, _ in found if (n := a.options("vllm.").get("max_num_seqs")) is not None]
    for name, into in (("--max-model-len", lengths), ("--max-num-seqs", seqs)):
        if not into and name in args[:-1]:
            into.append(int(args[args.index(name) + 1]))
    return {"max_model_len": min(lengths, default=None), "max_num_seqs": min(seqs, default=None)}


def warnings(
    known: Iterable[tuple[Allocation, Measurement]], workload: Workload, args: Sequence[str]
) -> list[str]:
    """`unpressed` of what was measured, with the limits that the servers were started with."""
    found = list(known)
    return unpressed(by_share(found), workload, **limits(found, args))
