"""What a study cost: wall time by what it was spent on, beside restarting for every trial and the shortest possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from objectives.allocation import Allocation
from objectives.measurement import Measurement
from objectives.plain_data.names_of_0_1 import current_names
from objectives.traffic.workload import Workload
from study.bench.commands import llm_key
from study.storage.comparability import differences

STARTS, LOADS = ("starting stt", "starting llm"), ("window", "ladder")


@dataclass(frozen=True, slots=True)
class Launch:
    """One evaluation that was not told but made: seconds by phase, and which servers it started."""

    allocation: Allocation
    measurement: Measurement | None
    wall_s: float
    phase_s: Mapping[str, float]
    started: frozenset[str]

    def sum_s(self, *phases: str) -> float:
        """Seconds of some phases together."""
        return sum(self.phase_s.get(p, 0.0) for p in phases)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The launches of one study or recording, and the wall time of its runs.

    trials: those told from a known result too; restarts: whether servers were restarted for every trial
    runs_s: from the begin of each run to its last server's end; None where a run did not live to tell it
    measured_elsewhere: where a replay's times come from
    """

    name: str
    trials: int
    launches: tuple[Launch, ...]
    restarts: bool
    runs_s: float | None
    measured_elsewhere: str | None
    identity: Mapping[str, Any]
    workload: Workload
    llm_args: tuple[str, ...]

    @property
    def known(self) -> list[tuple[Allocation, Measurement]]:
        """What was measured, for the tables of `study.analysis.interference`."""
        return [(x.allocation, x.measurement) for x in self.launches if x.measurement is not None]

    @property
    def wall_s(self) -> float:
        """Of the runs; where they did not tell, of the trials."""
        return self.runs_s if self.runs_s is not None else sum(x.wall_s for x in self.launches)

    def sum_s(self, *phases: str) -> float:
        """Seconds of some phases, over all launches."""
        return sum(x.sum_s(*phases) for x in self.launches)

    def starters(self, phase: str) -> list[Launch]:
        """The launches that started this server rather than keep it."""
        return [x for x in self.launches if phase in x.started]

    def start_s(self, phase: str) -> float:
        """Mean seconds of a start, failed ones too; 0 where there was none."""
        return fmean([x.sum_s(phase) for x in self.starters(phase)] or [0.0])

    @property
    def commands(self) -> int:
        """Distinct commands of the LLM server that were launched."""
        return len({llm_key(x.allocation) for x in self.starters("starting llm")})

    @property
    def shortest_s(self) -> float | None:
        """Each LLM command started once, then windows and ladders; None where a recording does not tell the ladders."""
        if any(UNTOLD in x.phase_s for x in self.launches):
            return None
        return self.commands * self.start_s("starting llm") + self.sum_s(*LOADS)

    @property
    def restarting_s(self) -> float:
        """Estimate of restarting for every trial: each kept server would have cost a mean start and a mean stop."""
        kept = {
            p: [x for x in self.launches if p not in x.started and x.sum_s(*LOADS)] for p in STARTS
        }
        starts_s = sum(len(found) * self.start_s(phase) for phase, found in kept.items())
        stop_s = fmean([x.sum_s("stopping") for x in self.starters("starting llm")[1:]] or [0.0])
        return (
            self.wall_s
            + starts_s
            + sum(max(0.0, stop_s - x.sum_s("stopping")) for x in kept["starting llm"])
        )


def told(cost: Cost) -> list[str]:
    """The cost of one study in lines for a person."""
    launches, wall_s = cost.launches, cost.wall_s
    starts_s, loads_s = cost.sum_s(*STARTS), cost.sum_s(*LOADS)
    within_s = sum(x.wall_s for x in launches)
    parts = {p: cost.sum_s(p) for p in ("alone", "stopping", UNTOLD)}
    parts["rest of the trials"] = within_s - starts_s - loads_s - sum(parts.values())
    parts["between trials"] = 0.0 if cost.runs_s is None else cost.runs_s - within_s
    rest = ", ".join(f"{name} {_min(s)}" for name, s in parts.items() if s >= 0.05)
    how = "servers restarted for every trial" if cost.restarts else "servers kept and ordered"
    mean_s, least = (
        cost.start_s("starting llm"),
        "at least " * any(UNTOLD in x.phase_s for x in launches),
    )
    lines = [
        f"{cost.name}: {how}",
        *(
            [f"  times are those of a replay, {cost.measured_elsewhere}"]
            if cost.measured_elsewhere
            else []
        ),
        f"  trials               {cost.trials}, {len(launches)} of them measured and not told again",
        f"  LLM starts           {least}{len(cost.starters('starting llm'))}, {mean_s:.1f} s each, "
        f"of {cost.commands} distinct commands",
        f"  speech starts        {least}{len(cost.starters('starting stt'))}, "
        f"{cost.start_s('starting stt'):.1f} s each",
        f"  wall time            {_min(wall_s)}"
        + (
            ""
            if cost.runs_s is not None
            else " (of the trials: what lay between them is not known)"
        ),
        f"    starts             {_min(starts_s)}, {_share(starts_s, wall_s)}",
        f"    windows, ladders   {_min(loads_s)}, {_share(loads_s, wall_s)}",
        f"    everything else    {_min(wall_s - starts_s - loads_s)}, {_share(wall_s - starts_s - loads_s, wall_s)}"
        + (f" ({rest})" if rest else ""),
    ]
    if (shortest_s := cost.shortest_s) is None:
        return [*lines, "  shortest possible    not known: its ladders' time was not told apart"]
    return [
        *lines,
        f"  shortest possible    {_min(shortest_s)} ({cost.commands} x {mean_s:.1f} s + windows and ladders)",
    ]


def ratios(costs: Sequence[Cost]) -> list[str]:
    """Restart per trial : kept : shortest, for each study with servers kept, beside each that restarted them."""
    lines = []
    for kept in (c for c in costs if not c.restarts and c.wall_s and c.launches):
        beside = [c for c in costs if c.restarts and c.launches]
        for other in beside:
            if differing := differences(other.identity, kept.identity):
                lines.append(
                    f"{kept.name} and {other.name}: no ratio, they differ in {', '.join(differing)}"
                )
                continue
            each = (other.wall_s / len(other.launches)) / (kept.wall_s / len(kept.launches))
            per = (
                f"; for each launch {each:.2f} : 1"
                if len(other.launches) != len(kept.launches)
                else ""
            )
            lines.append(
                f"{_ratio(other.wall_s, kept)}  ({other.name} beside {kept.name}, measured{per})"
            )
        if not beside:
            lines.append(
                f"{_ratio(kept.restarting_s, kept)}  ({kept.name}; restart per trial is estimated from it)"
            )
    return lines


def _ratio(restarting_s: float, kept: Cost) -> str:
    shortest = "not known" if kept.shortest_s is None else f"{kept.shortest_s / kept.wall_s:.2f}"
    return (
        f"restart per trial : kept : shortest = {restarting_s / kept.wall_s:.2f} : 1 : {shortest}"
    )


def _min(s: float) -> str:
    return f"{s / 60:.1f} min"


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


PHASES = (*STARTS, "alone", "window", "ladder", "stopping")
UNTOLD = "not told apart"  # by a recording that was made before phases were timed


def seconds(m: Measurement | None, measured: Mapping[str, Any], wall_s: float) -> dict[str, float]:
    """Seconds by phase of one launch, from its measurement or from what a failed one had measured by then."""
    timed = dict(m.phase_s) if m else dict(current_names(measured).get("phase_s") or {})
    if not timed:
        own = {
            "starting stt": "stt_start_s",
            "starting llm": "llm_start_s",
            "window": "window_s",
        }
        known = {p: m.figure(n) if m else measured.get(n) for p, n in own.items()}
        timed = {p: float(s) for p, s in known.items() if s}
        rest = wall_s - sum(timed.values())
        timed |= {UNTOLD: rest} if rest > 0.5 else {}
    return {p: timed[p] for p in (*PHASES, UNTOLD) if p in timed}
