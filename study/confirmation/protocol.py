"""The protocol is fixed before the first pair: claim, margins, and when to look for a win; pure."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from objectives.errors import BadInput
from objectives.figures import Direction, figure
from study.spec.choices import MARGIN_PCT, Claim
from study.text import meant

LEAST_PAIRS = 6
DEFAULT_PCT = 5.0


@dataclass(frozen=True, slots=True)
class MetricKey:
    """A key names one metric under one workload.

    Args:
        workload: The name of the workload.
        metric: The flat name of the figure.
    """

    workload: str
    metric: str

    def __str__(self) -> str:
        return f"{self.metric} under {self.workload}"


@dataclass(frozen=True, slots=True)
class Margins:
    """The margins say by how much each metric may be worse, percent of the baseline.

    Args:
        pct: The margin of every metric that has none of its own.
        by_metric: The metrics that have their own, e.g. 100 for a time per token that may double.

    >>> m = Margins(5.0, {"llm_tpot_ms": 100.0})
    >>> m.of("llm_tpot_ms"), m.of("llm_ttft_ms"), str(m)
    (100.0, 5.0, '5 %, llm_tpot_ms 100 %')
    """

    pct: float = DEFAULT_PCT
    by_metric: Mapping[str, float] = field(default_factory=dict)

    def of(self, metric: str) -> float:
        """Return the margin of one metric, percent."""
        return self.by_metric.get(metric, self.pct)

    def floor(self, metric: str) -> float:
        """Return the log-ratio below which a metric is worse by more than its margin.

        >>> round(Margins(100.0).floor("llm_latency_ms"), 4)
        -0.6931
        """
        return -math.log1p(self.of(metric) / 100)

    def __str__(self) -> str:
        return ", ".join(
            [f"{self.pct:g} %", *(f"{m} {pct:g} %" for m, pct in sorted(self.by_metric.items()))]
        )


@dataclass(frozen=True, slots=True)
class ClaimRule:
    """The rule says what is claimed, and by how much everything else may be worse.

    Args:
        claim: The metric that must be better.
        main: The study's own workload, on which the claim is made.
        margins: A metric counts as no worse within its own margin.
        aa_pairs: Pairs of the baseline against itself, before all others.
    """

    claim: Claim
    main: str = "main"
    margins: Margins = field(default_factory=Margins)
    aa_pairs: int = 2

    @property
    def primary(self) -> MetricKey:
        """Return the one metric that must be better, under the study's own workload."""
        return MetricKey(self.main, self.claim)


def looks(targets: Sequence[int]) -> tuple[int, ...]:
    """Return after how many pairs a win is looked for.

    That is at six, then at each number of pairs that was asked for.

    >>> looks([6]), looks([10]), looks([6, 16])
    ((6,), (6, 10), (6, 16))
    """
    return tuple(sorted({LEAST_PAIRS, *(t for t in targets if t > LEAST_PAIRS)}))


def confidence(look: int) -> float:
    """Return the confidence of the interval at a look, counted from 1.

    Each look may err half as often as the one before it. A win needs the whole interval on one
    side, so that a useless winner wins with 2.5 % at the first look, 1.25 % at the second ...:
    never more than 5 % in all, however often somebody asks for more pairs.

    >>> confidence(1), confidence(2)
    (0.95, 0.975)
    """
    return 1 - 0.05 / 2.0 ** (look - 1)


def gain_pct(metric: str, log_ratio: float) -> float:
    """Return how much better a log-ratio is, in percent of the baseline; negative is worse.

    >>> round(gain_pct("llm_latency_ms", math.log(100 / 90)), 6)
    10.0
    >>> round(gain_pct("fitness", math.log(1.1)), 6)
    10.0
    """
    is_down = figure(metric).direction is Direction.DOWN
    ratio = math.exp(-log_ratio if is_down else log_ratio)
    return 100 * (1 - ratio if is_down else ratio - 1)


def read_margins(
    arguments: Iterable[str], of_spec: Mapping[str, float], metrics: Collection[str]
) -> Margins:
    """Return the margins of the command line over those of the spec.

    Args:
        arguments: Numbers and METRIC=PCT, each at most once, e.g. ["5", "llm_tpot_ms=100"].
        of_spec: The margins by metric that the spec has, percent.
        metrics: The names of what is judged.

    Raises:
        BadInput: An argument is neither, or comes twice.

    >>> str(read_margins(["10", "llm_tpot_ms=100"], {"llm_ttft_ms": 20.0}, ["llm_tpot_ms"]))
    '10 %, llm_tpot_ms 100 %, llm_ttft_ms 20 %'
    """
    pct, by_metric = DEFAULT_PCT, dict(of_spec)
    named: set[str] = set()
    for text in arguments:
        metric, is_own, number = (part.strip() for part in text.rpartition("="))
        if is_own and metric not in metrics:
            raise BadInput(
                f"--margin: nothing that is judged is called {metric!r}; {meant(metric, metrics)}"
            )
        if metric in named:
            raise BadInput(
                f"--margin: {metric or 'the one for all metrics'} is given twice; leave one"
            )
        named.add(metric)
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not MARGIN_PCT.low <= value <= MARGIN_PCT.high:
            what = f"{text!r} is no percentage from {MARGIN_PCT.low} to {MARGIN_PCT.high:g}"
            raise BadInput(
                f"--margin: {what}; write 5, or llm_tpot_ms=100; repeat --margin for more"
            )
        if is_own:
            by_metric[metric] = value
        else:
            pct = value
    return Margins(pct, by_metric)
