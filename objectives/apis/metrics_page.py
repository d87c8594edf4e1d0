"""A Prometheus page is read here: what is no sample of it is not told. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

MOST = 1e15  # of any count or share
LONGEST_LINE = 8192  # characters
SAMPLE = re.compile(r'(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})?[ \t]+(\S+)(?:[ \t]+-?\d+)?[ \t]*')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class CachePage:
    """A page tells this of a KV cache; what it lacks is None.

    Args:
        tokens: Its size in tokens.
        used_pct: How full it is, percent.
        preemptions: Requests that were put back for want of room, since the server started.
        waiting: How many requests wait.
    """

    tokens: int | None = None
    used_pct: float | None = None
    preemptions: int | None = None
    waiting: float | None = None


def samples(page: str, name: str) -> Iterator[tuple[Mapping[str, str], float]]:
    """Yield the samples of a metric: its labels, and its value from 0.

    >>> list(samples('a{b="1"} 2', "a"))
    [({'b': '1'}, 2.0)]
    """
    for line in page.split("\n"):
        if not line.startswith(name) or len(line) > LONGEST_LINE:
            continue
        sample = SAMPLE.fullmatch(line, len(name))
        value = amount(sample[2]) if sample else None
        if sample is not None and value is not None:
            yield dict(LABEL.findall(sample[1] or "")), value


def amount(text: str | None) -> float | None:
    """Return a number from 0; None for what no count or share can be, however it is written.

    >>> amount("1,024"), amount("-1"), amount("NaN"), amount("9" * 400)
    (1024.0, None, None, None)
    """
    try:
        number = float((text or "").replace(",", ""))
    except ValueError:
        return None
    return number if 0 <= number < MOST else None


def whole(text: str | None) -> int | None:
    """Return a size: a whole number from 1; None for what is none."""
    number = amount(text)
    return int(number) if number is not None and number >= 1 else None
