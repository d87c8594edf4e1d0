"""What is judged, and by how much each metric may be worse and still count as no worse. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from objectives.errors import BadInput
from study.spec.limits import JUDGED, LEAST_PCT, MOST_PCT
from study.text import meant

DEFAULT_PCT = 5.0


@dataclass(frozen=True, slots=True)
class Margins:
    """The margin of every metric in percent of the baseline, as a worsening.

    by_metric: of those that have their own, e.g. 100 for a time per token that may double

    >>> m = Margins(5.0, {"llm_tpot_ms": 100.0})
    >>> m.of("llm_tpot_ms"), m.of("llm_ttft_ms"), str(m)
    (100.0, 5.0, '5 %, llm_tpot_ms 100 %')
    """

    pct: float = DEFAULT_PCT
    by_metric: Mapping[str, float] = field(default_factory=dict)

    def of(self, metric: str) -> float:
        """The margin of one metric, percent."""
        return self.by_metric.get(metric, self.pct)

    def floor(self, metric: str) -> float:
        """The log-ratio below which a metric is worse by more than its margin.

        >>> round(Margins(100.0).floor("llm_latency_ms"), 4)
        -0.6931
        """
        return -math.log1p(self.of(metric) / 100)

    def __str__(self) -> str:
        return ", ".join([f"{self.pct:g} %", *(f"{m} {pct:g} %" for m, pct in sorted(self.by_metric.items()))])


def read_margins(given: Iterable[str], known: Mapping[str, float]) -> Margins:
    """What the command line says, over what the spec says.

    given: numbers and METRIC=PCT, each at most once, e.g. ["5", "llm_tpot_ms=100"]
    raises: BadInput where one is neither

    >>> str(read_margins(["10", "llm_tpot_ms=100"], {"llm_ttft_ms": 20.0}))
    '10 %, llm_tpot_ms 100 %, llm_ttft_ms 20 %'
    """
    pct, by_metric = DEFAULT_PCT, dict(known)
    named: set[str] = set()
    for text in given:
        metric, is_own, number = (part.strip() for part in text.rpartition("="))
        if is_own and metric not in JUDGED:
            raise BadInput(f"--margin: nothing that is judged is called {metric!r}; {meant(metric, JUDGED)}")
        if metric in named:
            raise BadInput(f"--margin: {metric or 'the one for all metrics'} is given twice; leave one")
        named.add(metric)
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not LEAST_PCT <= value <= MOST_PCT:
            what = f"{text!r} is no percentage from {LEAST_PCT} to {MOST_PCT:g}"
            raise BadInput(f"--margin: {what}; write 5, or llm_tpot_ms=100; repeat --margin for more")
        if is_own:
            by_metric[metric] = value
        else:
            pct = value
    return Margins(pct, by_metric)
