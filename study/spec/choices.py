"""A spec and the command line choose from the names that stand here.

It imports nothing that is slow, so that --help is quick.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from objectives.figures import figures_of, judged, shown
from objectives.plain_data.ranges import Range

SamplerName = Literal[
    "tournament", "tpe", "random", "grid", "gp", "nsga2", "bruteforce", "recorded"
]
SAMPLERS: tuple[SamplerName, ...] = get_args(SamplerName)
RECORDED = "recorded"  # draws nothing: the launches of a recording are queued, in their order

Claim = Literal[
    "llm_latency_ms", "stt_latency_ms", "turn_ttft_ms", "capacity_turns_per_s", "fitness"
]
CLAIMS: tuple[Claim, ...] = get_args(Claim)
MARGIN_PCT = Range(0.1, 1000.0)  # how much worse may still be called no worse

# the API of each service that a spec has, in the order of a voice turn
APIS: Mapping[str, str] = {"stt": "transcription", "llm": "completions"}
FIGURES = figures_of(APIS)
JUDGED = judged(FIGURES)


def effect_figures(apis: Mapping[str, str]) -> tuple[str, ...]:
    """Return the figures of services that have main effects; bounds and shares have none.

    >>> effect_figures({"stt": "transcription"})
    ('stt_latency_p95_ms', 'free_memory_mib', 'stt_wer_pct')
    """
    figures = shown(figures_of(dict(reversed(list(apis.items())))))
    times = [name for name, f in figures.items() if f.service and f.unit == "ms"]
    words = [name for name, f in figures.items() if f.name == "wer_pct"]
    return (*times, "free_memory_mib", *words)
