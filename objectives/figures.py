"""This module holds every figure that is shown or judged: title, unit, digits, direction. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from itertools import groupby


class Direction(StrEnum):
    """A direction says which way a figure is better."""

    UP = "up"
    DOWN = "down"
    NEUTRAL = "neutral"


UP, DOWN, NEUTRAL = Direction
DISPLAY_NAMES: Mapping[str, str] = {"stt": "speech", "llm": "LLM"}
CAPACITY = "capacity_turns_per_s"
GOODPUT = "goodput_pct"
EVERY = "any"  # an API: every service has the figure, whatever it speaks
# APIs of language models, whose answers come token by token: their figures are the same
COMPLETIONS = "completions"
STREAMED = (COMPLETIONS, "chat")


def service_name(service: str) -> str:
    """Return what people call a service.

    >>> service_name("stt"), service_name("llm"), service_name("embed")
    ('speech', 'LLM', 'embed')
    """
    return DISPLAY_NAMES.get(service, service)


def flat_name(service: str, figure: str) -> str:
    """Return the name of a service's figure in files, attributes and tables.

    >>> flat_name("stt", "latency_p95_ms")
    'stt_latency_p95_ms'
    """
    return f"{service}_{figure}"


def latency_p95_names(services: Iterable[str]) -> list[str]:
    """Return the flat names of the p95 latencies of the services, in their order.

    >>> latency_p95_names(["stt", "llm"])
    ['stt_latency_p95_ms', 'llm_latency_p95_ms']
    """
    return [flat_name(service, "latency_p95_ms") for service in services]


def service_and_field(flat: str, names: Iterable[str]) -> tuple[str, str] | None:
    """Return the service and the field of a flat name; None where it ends with none of the names.

    >>> service_and_field("stt_latency_p95_ms", ["p95_ms", "latency_p95_ms"])
    ('stt', 'latency_p95_ms')
    """
    name = max((n for n in names if flat.endswith(f"_{n}")), key=len, default=None)
    return None if name is None else (flat.removesuffix(f"_{name}"), name)


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure has a name and a unit, as people read them.

    Args:
        name: The flat name without the service that it belongs to; it ends with the unit.
        unit: The unit as it is shown; empty for a count or a share.
        digits: The number of decimals that are shown.
        direction: The way that is better.
        title: Its line in a table of figures; empty where it is in no such table.
        short: Its name in a sentence and, with the unit, at the head of a column.
        api: The API of the services that have it; empty where it belongs to the whole launch.
        service: The service it belongs to; empty for the whole, and as long as it is any one's:
            then `{}` stands in the texts for the service.
    """

    name: str
    unit: str
    digits: int
    direction: Direction
    title: str = ""
    short: str = ""
    api: str = ""
    service: str = ""

    def of(self, service: str) -> Figure:
        """Return the same of one service.

        >>> figure("stt_wer_pct").of("captions").flat
        'captions_wer_pct'
        """
        title, short = (text.format(service_name(service)) for text in (self.title, self.short))
        return replace(self, title=title, short=short, service=service)

    @property
    def flat(self) -> str:
        """Return its flat name, as files have it.

        >>> figure("stt_wer_pct").flat
        'stt_wer_pct'
        """
        return flat_name(self.service, self.name) if self.service else self.name

    @property
    def title_in_text(self) -> str:
        """Return its title as prose has it.

        >>> figure("llm_latency_p95_ms").title_in_text
        'LLM, 95 % answered within'
        """
        return self.title.replace(": ", ", ")

    def text(self, value: float | None) -> str:
        """Return a value with the digits that are shown; a dash where it was not measured.

        >>> figure("llm_tpot_ms").text(36.72), figure("llm_tpot_ms").text(None)
        ('36.7', '-')
        """
        return "-" if value is None else f"{value:,.{self.digits}f}"

    @property
    def head(self) -> str:
        """Return the head of its column.

        >>> figure("free_memory_mib").head, figure("capacity_turns_per_s").head
        ('free MiB', 'capacity turns/s')
        """
        return f"{self.short} {self.unit}".rstrip()


# in the order in which people see them; those of services in a row are shown service by service
TABLE = (
    Figure("latency_ms", "ms", 0, DOWN, short="{} latency", api=EVERY),
    Figure("latency_p95_ms", "ms", 0, DOWN, "{}: 95 % answered within", "{} p95", EVERY),
    Figure("ttft_ms", "ms", 0, DOWN, short="{} first token", api=COMPLETIONS),
    Figure(
        "ttft_p95_ms",
        "ms",
        0,
        DOWN,
        "{}: 95 % begin to answer within",
        "{} first token p95",
        api=COMPLETIONS,
    ),
    Figure(
        "tpot_ms",
        "ms",
        1,
        DOWN,
        "{}: each further token, median",
        "{} each token",
        api=COMPLETIONS,
    ),
    Figure("tpot_p95_ms", "ms", 1, DOWN, short="{} each token p95", api=COMPLETIONS),
    Figure("turn_ttft_ms", "ms", 0, DOWN, short="time of a voice turn to its first LLM word"),
    Figure("turn_ttft_p95_ms", "ms", 0, DOWN, "voice turn: 95 % begin to be answered within"),
    Figure(GOODPUT, "%", 1, UP, "turns that met every limit", "goodput"),
    Figure(CAPACITY, "turns/s", 2, UP, "capacity, turns a second", "capacity"),
    Figure("breaking_point_turns_per_s", "turns/s", 2, UP, short="breaking point"),
    Figure("completed_turns_per_s", "turns/s", 2, UP, short="completed after the break"),
    Figure("concurrent_capacity", "", 0, UP, "the same as users at once", "users"),
    Figure("wer_pct", "%", 1, DOWN, "words wrong", "words wrong", "transcription"),
    Figure("failure_rate", "", 2, DOWN, "requests that failed, as a share"),
    Figure("free_memory_mib", "MiB", 0, UP, "memory that stayed free", "free"),
    Figure("kv_peak_pct", "%", 0, NEUTRAL, "highest use of the {}'s KV cache", api=COMPLETIONS),
    Figure("gpu_utilization_pct", "%", 0, NEUTRAL),
    Figure("rtfx", "x", 1, UP, api="transcription"),
    Figure("kv_capacity_bound", "", 0, UP),
    Figure("oom_events", "", 0, DOWN),
)
FITNESS = Figure("fitness", "", 4, UP, short="fitness")
_BY_NAME: Mapping[str, Figure] = {f.name: f for f in (*TABLE, FITNESS)}


@cache
def figure(flat: str) -> Figure:
    """Return the figure of a flat name, with its texts for its service.

    Raises:
        KeyError: It is not in the table.

    >>> figure("llm_latency_p95_ms").title, figure("embed_latency_p95_ms").title
    ('LLM: 95 % answered within', 'embed: 95 % answered within')
    """
    whole = _BY_NAME.get(flat)
    if whole is not None and not whole.api:
        return whole
    service, name = service_and_field(flat, (f.name for f in TABLE if f.api)) or ("", flat)
    return _BY_NAME[name].of(service)


def title_of(flat: str) -> str:
    """Return the title of a figure; the flat name itself where the table has none.

    >>> title_of("free_memory_mib"), title_of("fitness"), title_of("a figure of later")
    ('memory that stayed free', 'fitness', 'a figure of later')
    """
    try:
        return figure(flat).title or flat
    except KeyError:
        return flat


def figures_of(apis: Mapping[str, str]) -> dict[str, Figure]:
    """Return every figure that a launch can have, by flat name, in the order of the table.

    Args:
        apis: The name of each service's API (`completions`, `transcription`, ...), in the order in
            which people see the services.

    >>> [name for name in figures_of({"stt": "transcription"}) if name.startswith("stt_")]
    ['stt_latency_ms', 'stt_latency_p95_ms', 'stt_wer_pct', 'stt_rtfx']
    >>> "chat_ttft_p95_ms" in figures_of({"chat": "chat"})
    True
    """
    figures: list[Figure] = []
    kinds = {s: COMPLETIONS if api in STREAMED else api for s, api in apis.items()}
    for is_of_services, run in groupby(TABLE, lambda f: bool(f.api)):
        rows = list(run)
        figures += (
            [f.of(s) for s, api in kinds.items() for f in rows if f.api in (EVERY, api)]
            if is_of_services
            else rows
        )
    return {f.flat: f for f in figures}


def shown(figures: Mapping[str, Figure]) -> dict[str, Figure]:
    """Return those of the figures that are in a table of figures."""
    return {name: f for name, f in figures.items() if f.title}


def judged(figures: Mapping[str, Figure]) -> dict[str, Figure]:
    """Return the figures by which fresh launches are judged.

    Word errors, failures and memory are facts that need no interval.
    """
    return {n: f for n, f in figures.items() if f.unit == "ms" or n in (CAPACITY, GOODPUT)}
