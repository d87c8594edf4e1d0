"""The segments of a window tell the noise within a launch, which is part of that between launches.

That of the window is the variance of its segments over their number (batch means: Law, Simulation
Modeling and Analysis (2015), section 9.5.3), for a p95 too, as `test_segment_noise.py` shows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from objectives.measurement import Measurement
from study.analysis.configurations import Configuration
from study.rule.pooled import sum_of_squares

LEAST_SEGMENTS = 4  # with fewer, their variance says little

Value = Callable[[Mapping[str, float]], float | None]  # of the figures of a segment, by flat name


@dataclass(frozen=True, slots=True)
class WithinLaunch:
    """This is the variance within a launch, of two configurations and of all launched again.

    Args:
        a: The one's; None where its segments do not tell it.
        b: The other's.
        typical: The mean of all that was launched again, which the noise of their launches has in
            it; None where it is not known of each.
    """

    a: float | None = None
    b: float | None = None
    typical: float | None = None

    def variances(self, of_launches: float) -> tuple[float, float]:
        """Return the variance of a launch of each: what launches share, and what is its own.

        Args:
            of_launches: The variance of all that was launched again.

        >>> fewer_clips = WithinLaunch(a=1.0, b=4.0, typical=1.0)
        >>> fewer_clips.variances(3.0), WithinLaunch().variances(3.0)
        ((3.0, 6.0), (3.0, 3.0))
        """
        if self.typical is None:
            return of_launches, of_launches
        between = max(0.0, of_launches - self.typical)
        a, b = (of_launches if own is None else between + own for own in (self.a, self.b))
        return a, b


def within_launch(
    a: Configuration, b: Configuration, configurations: Iterable[Configuration], value: Value
) -> WithinLaunch:
    """Return the variance that the segments of launches tell of a number.

    Args:
        a: The one configuration.
        b: The other.
        configurations: All that was launched; those that were launched again count.
        value: The number of a segment; None where it has none.
    """
    known = [_variance(c, value) for c in configurations if len(c.measured) > 1]
    typical = [v for v in known if v is not None]
    return WithinLaunch(
        _variance(a, value),
        _variance(b, value),
        fmean(typical) if typical and len(typical) == len(known) else None,
    )


def value_of(name: str, *, is_time: bool) -> Value:
    """Return what gives a segment's figure; of a time its logarithm, as its noise is relative."""

    def value(segment: Mapping[str, float]) -> float | None:
        figure = segment.get(name)
        if figure is None or not is_time:
            return figure
        return math.log(figure) if figure > 0 else None

    return value


def _variance(configuration: Configuration, value: Value) -> float | None:
    """Return the mean variance within the launches of a configuration; None where one lacks it."""
    records = [t.measurement for t in configuration.measured if t.measurement is not None]
    variances = [_of_launch(m, value) for m in records]
    known = [v for v in variances if v is not None]
    return fmean(known) if known and len(known) == len(variances) else None


def _of_launch(measurement: Measurement, value: Value) -> float | None:
    values: Sequence[float | None] = [value(segment) for segment in measurement.segments]
    known = [v for v in values if v is not None and math.isfinite(v)]
    if len(known) < max(LEAST_SEGMENTS, len(values)):
        return None
    return sum_of_squares(known) / (len(known) - 1) / len(known)
