"""This module collects what the pictures of one study show: spots, bars and memory; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from objectives.figures import CAPACITY, figure, flat_name
from objectives.measurement import INFINITE
from study.analysis.category import Category, category
from study.analysis.configurations import Configuration
from study.analysis.cost.phases import phase_seconds
from study.analysis.decision import Decision
from study.analysis.pareto import pareto
from study.report.service_words import latencies_of
from study.storage.context import StudyContext
from study.storage.trial import Trial
from study.wording.allocations import pair, short
from study.wording.failures import NO_GOOD_RATE
from study.wording.phases import timed_phase_in_words

MOST_BARS = 100  # launches: of more, nobody reads the one beside the other


@dataclass(frozen=True, slots=True)
class Spot:
    """A spot is one configuration between latency and capacity.

    Args:
        label: The configuration in short.
        category: What it is to the answer.
        on_pareto: Whether it belongs to the Pareto set.
        turns_per_s: The capacity, turns/s; 0 where no rate is good, None where it was not measured.
        is_lower_bound: Whether there may be more than that.
        p95_ms: P95 latency by service, ms.
    """

    label: str
    category: Category
    on_pareto: bool
    turns_per_s: float | None
    is_lower_bound: bool
    p95_ms: Mapping[str, float]

    @property
    def capacity(self) -> str:
        """Return the capacity in words."""
        if self.turns_per_s is None:
            return "not measured"
        if not self.turns_per_s:
            return NO_GOOD_RATE
        return f"{'at least ' * self.is_lower_bound}{self.turns_per_s:.2f} turns/s"


def latency_title(service: str) -> str:
    """Return what is shown of a service's latency."""
    return figure(flat_name(service, "latency_p95_ms")).title


def limit_text(limit_ms: float) -> str:
    """Name the line at the limit of a latency."""
    return f"limit of a turn {limit_ms:,.0f} ms"


def spots(
    configurations: Sequence[Configuration], decision: Decision, context: StudyContext
) -> list[Spot]:
    """Return a spot for every configuration whose latencies are finite."""
    best = {str(c.allocation) for c in pareto(configurations, context)}
    latencies = latencies_of(context)
    points = []
    for c in configurations:
        means = {figure(name).service: c.mean(name) for name in latencies}
        p95_ms = {s: ms for s, ms in means.items() if ms is not None and ms != INFINITE}
        if len(p95_ms) < len(means):
            continue
        turns_per_s = 0.0 if c.has_no_good_rate else c.mean(CAPACITY)
        kind = category(c, decision)
        points.append(
            Spot(
                short(c.allocation),
                kind,
                str(c.allocation) in best,
                turns_per_s,
                c.is_lower_bound,
                p95_ms,
            )
        )
    return points


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar says where the time of one trial went.

    Args:
        trial: The trial's number.
        allocation: The two parameters that are always there, as a label.
        configuration: All parameters, as a label.
        seconds: S by phase, as people call it.
    """

    trial: int
    allocation: str
    configuration: str
    seconds: Mapping[str, float]

    @property
    def label(self) -> str:
        """Return the name beside the bar."""
        return f"{self.trial}: {self.allocation}"


def bars(trials: Sequence[Trial], services: Collection[str]) -> list[Bar]:
    """Return a bar for each of the newest launches that tells its time.

    An older recording tells only starts and window.

    Args:
        trials: The trials of a study.
        services: The names of its services, in the order of their starts.
    """
    timed = [
        Bar(
            t.number,
            pair(t.allocation),
            short(t.allocation),
            {timed_phase_in_words(phase): s for phase, s in by_phase.items()},
        )
        for t in trials
        if t.repeat_of is None
        and (by_phase := phase_seconds(t.measurement, t.measured, t.wall_s, services))
    ]
    return timed[-MOST_BARS:]


def launches_drawn(bars: Sequence[Bar]) -> str:
    """Say of which launches there are bars."""
    return f"the newest {MOST_BARS} launches" if len(bars) == MOST_BARS else "every launch"


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """The memory of the device was used like this during one trial.

    Args:
        label: The trial, for the legend.
        used_mib: The memory in use at each second, MiB.
        total_mib: All memory of the device, MiB.
    """

    label: str
    used_mib: tuple[int, ...]
    total_mib: float


def total_text(memory: MemoryUse) -> str:
    """Name the line at all the memory that the device has."""
    return f"total {memory.total_mib:,.0f} MiB"


def memory_use(trial: Trial | None) -> MemoryUse | None:
    """Return the memory of a trial over time; None where it was not recorded."""
    m = trial.measurement if trial else None
    if trial is None or m is None or not m.device.used_mib_by_s or not m.device.device_total_mib:
        return None
    label = f"trial {trial.number}: {short(trial.allocation)}"
    return MemoryUse(label, m.device.used_mib_by_s, m.device.device_total_mib)
