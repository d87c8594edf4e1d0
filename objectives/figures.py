"""This module holds every figure that is shown or judged: title, unit, digits, direction. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Direction(StrEnum):
    """A direction says which way a figure is better."""

    UP = "up"
    DOWN = "down"
    NEUTRAL = "neutral"


UP, DOWN, NEUTRAL = Direction


def flat_name(service: str, figure: str) -> str:
    """Return the name of a service's figure in files, attributes and tables.

    >>> flat_name("stt", "latency_p95_ms")
    'stt_latency_p95_ms'
    """
    return f"{service}_{figure}"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure has a name and a unit, as people read them.

    Args:
        name: The flat name without what it belongs to; it ends with the unit.
        of: The service it belongs to; `turn` for a turn through all services, empty for the whole.
        unit: The unit as it is shown; empty for a count or a share.
        digits: The number of decimals that are shown.
        direction: The way that is better.
        title: Its line in a table of figures; empty where it is in no such table.
        short: Its name in a sentence and, with the unit, at the head of a column.
        narrow: The same where a terminal leaves little room; empty for `short`.
    """

    name: str
    of: str
    unit: str
    digits: int
    direction: Direction
    title: str = ""
    short: str = ""
    narrow: str = ""

    @property
    def flat(self) -> str:
        """Return its flat name, as files have it.

        >>> FIGURES["stt_wer_pct"].flat
        'stt_wer_pct'
        """
        return flat_name(self.of, self.name) if self.of else self.name

    def text(self, value: float | None) -> str:
        """Return a value with the digits that are shown; a dash where it was not measured.

        >>> FIGURES["llm_tpot_ms"].text(36.72), FIGURES["llm_tpot_ms"].text(None)
        ('36.7', '-')
        """
        return "-" if value is None else f"{value:.{self.digits}f}"

    @property
    def head(self) -> str:
        """Return the head of its column.

        >>> FIGURES["free_memory_mib"].head, FIGURES["concurrent_capacity"].head
        ('free MiB', 'sessions')
        """
        return f"{self.short} {self.unit}".rstrip()

    @property
    def narrow_head(self) -> str:
        """Return the head of its column in a terminal.

        >>> FIGURES["stt_wer_pct"].head, FIGURES["stt_wer_pct"].narrow_head
        ('words wrong %', 'WER %')
        """
        return f"{self.narrow or self.short} {self.unit}".rstrip()


def _by_name(*figures: Figure) -> Mapping[str, Figure]:
    return {f.flat: f for f in figures}


# by flat name, in the order in which people see them
FIGURES: Mapping[str, Figure] = _by_name(
    Figure("latency_ms", "stt", "ms", 0, DOWN, short="speech latency"),
    Figure(
        "latency_p95_ms",
        "stt",
        "ms",
        0,
        DOWN,
        "speech: 95 % answered within",
        "speech p95",
        "STT p95",
    ),
    Figure("latency_ms", "llm", "ms", 0, DOWN, short="LLM latency"),
    Figure("latency_p95_ms", "llm", "ms", 0, DOWN, "LLM: 95 % answered within", "LLM p95"),
    Figure("ttft_ms", "llm", "ms", 0, DOWN, short="LLM first token"),
    Figure(
        "ttft_p95_ms",
        "llm",
        "ms",
        0,
        DOWN,
        "LLM: 95 % begin to answer within",
        "LLM first token p95",
    ),
    Figure("tpot_ms", "llm", "ms", 1, DOWN, "LLM: each further token, median", "LLM each token"),
    Figure("ttft_ms", "turn", "ms", 0, DOWN, short="time of a voice turn to its first LLM word"),
    Figure(
        "ttft_p95_ms", "turn", "ms", 0, DOWN, "voice turn at the most sessions passed: 95 % within"
    ),
    Figure("concurrent_capacity", "", "", 0, UP, "voice sessions at once", "sessions"),
    Figure("wer_pct", "stt", "%", 1, DOWN, "words wrong", "words wrong", "WER"),
    Figure("failure_rate", "", "", 2, DOWN, "requests that failed, as a share"),
    Figure("free_memory_mib", "", "MiB", 0, UP, "memory that stayed free", "free"),
    Figure("kv_peak_pct", "llm", "%", 0, NEUTRAL, "highest use of the LLM's KV cache"),
    Figure("gpu_utilization_pct", "", "%", 0, NEUTRAL),
    Figure("rtfx", "stt", "x", 1, UP),
    Figure("kv_capacity_bound", "", "", 0, UP),
    Figure("oom_events", "", "", 0, DOWN),
)
FITNESS = Figure("fitness", "", "", 4, UP, short="fitness")
SHOWN: Mapping[str, Figure] = {name: f for name, f in FIGURES.items() if f.title}
# by which fresh launches are judged; word errors, failures and memory have limits of their own
JUDGED: Mapping[str, Figure] = {
    **{name: f for name, f in FIGURES.items() if f.unit == "ms" or name == "concurrent_capacity"},
    FITNESS.flat: FITNESS,
}
