"""A spec and the command line choose from the names that stand here.

It imports nothing that is slow, so that --help is quick.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from objectives.figures import COMPLETIONS, figures_of, shown
from study.rule.rule import Claim

SamplerName = Literal[
    "tournament", "tpe", "random", "grid", "gp", "nsga2", "bruteforce", "recorded"
]
SAMPLERS: tuple[SamplerName, ...] = get_args(SamplerName)
PrunerName = Literal["paired_segments", "none"]
RECORDED = "recorded"  # draws nothing: the launches of a recording are queued, in their order

# claims of 0.1, and the one that says the same or more today
CLAIMS_OF_0_1: Mapping[str, Claim] = {
    "llm_latency_ms": Claim.LATENCY,
    "stt_latency_ms": Claim.LATENCY,
    "turn_ttft_ms": Claim.LATENCY,
    "capacity_turns_per_s": Claim.CAPACITY,
    "concurrent_capacity": Claim.CAPACITY,
    "fitness": Claim.EITHER,
}
OF_MARGINS = (
    "write `limits:` in the spec, e.g. {llm_tpot_p95_ms: 100}; what has none is listed where it "
    "gets worse"
)

# the API of each service that a spec has, in the order of a voice turn
APIS: Mapping[str, str] = {"stt": "transcription", "llm": "completions"}
LLM = next(name for name, api in APIS.items() if api == COMPLETIONS)  # it answers turns
FIGURES = figures_of(APIS)


def effect_figures(apis: Mapping[str, str]) -> tuple[str, ...]:
    """Return the figures of services that have main effects; bounds and shares have none.

    >>> effect_figures({"stt": "transcription"})
    ('stt_latency_p95_ms', 'free_memory_mib', 'stt_wer_pct')
    """
    figures = shown(figures_of(dict(reversed(list(apis.items())))))
    times = [name for name, f in figures.items() if f.service and f.unit == "ms"]
    words = [name for name, f in figures.items() if f.name == "wer_pct"]
    return (*times, "free_memory_mib", *words)
