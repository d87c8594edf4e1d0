"""This module writes what studies cost in lines for a person."""

from __future__ import annotations

from collections.abc import Sequence

from objectives.figures import service_name
from objectives.servers.phase_times import ALONE, STOPPING
from study.analysis.cost.cost import Cost
from study.analysis.cost.phases import LOADS, UNATTRIBUTED
from study.storage.comparability import differing_names


def cost_lines(cost: Cost) -> list[str]:
    """Write the cost of one study: its starts, its wall time by part, the shortest possible."""
    launches, wall_s = cost.launches, cost.wall_s
    starts_s, loads_s = cost.sum_s(*cost.starts), cost.sum_s(*LOADS)
    rest_s = wall_s - starts_s - loads_s
    parts = _small_parts(cost)
    mean_s = cost.start_s(cost.last_start)
    least = "" if cost.is_split else "at least "
    how = "servers restarted for every trial" if cost.restarts else "servers kept and ordered"
    replay = f"  times are those of a replay, {cost.measured_elsewhere}"
    of_trials = " (of the trials: what lay between them is not known)"
    shortest = "not known: its ramps' time was not told apart"
    if (shortest_s := cost.shortest_s) is not None:
        starts = f"{cost.commands} x {mean_s:.1f} s"
        shortest = f"{_min(shortest_s)} ({starts} + windows and ramps)"
    return [
        f"{cost.name}: {how}",
        *([replay] if cost.measured_elsewhere else []),
        f"  trials               {cost.trials}, "
        f"{len(launches)} of them measured and not told again",
        *(
            f"  {service_name(service) + ' starts':<20} {least}{len(cost.starters(start))}, "
            f"{cost.start_s(start):.1f} s each"
            + (f", of {cost.commands} distinct commands" if start == cost.last_start else "")
            for service, start in reversed([*zip(cost.apis, cost.starts, strict=True)])
        ),
        f"  wall time            {_min(wall_s)}{of_trials if cost.runs_s is None else ''}",
        f"    starts             {_min(starts_s)}, {_share(starts_s, wall_s)}",
        f"    windows, ramps     {_min(loads_s)}, {_share(loads_s, wall_s)}",
        f"    everything else    {_min(rest_s)}, {_share(rest_s, wall_s)}"
        + (f" ({parts})" if parts else ""),
        *_early_lines(cost),
        f"  shortest possible    {shortest}",
    ]


def _early_lines(cost: Cost) -> list[str]:
    """Write what it saved that launches ended early; nothing where none did, or none was whole."""
    early, whole_s = cost.ended_early, cost.whole_s
    if not early or whole_s is None:
        return []
    saved_s = len(early) * whole_s - sum(x.wall_s for x in early)
    beside = f"{_min(abs(saved_s))} {'less' if saved_s >= 0 else 'more'}"
    return [
        f"  ended early          {len(early)} of {len(cost.launches)}, {beside} than as many that "
        f"were measured whole ({_min(whole_s)} each)"
    ]


def _small_parts(cost: Cost) -> str:
    """List what is neither a start nor load, with its minutes."""
    trials_s = sum(x.wall_s for x in cost.launches)
    parts_s = {str(p): cost.sum_s(p) for p in (ALONE, STOPPING, UNATTRIBUTED)}
    parts_s["rest of the trials"] = (
        trials_s - cost.sum_s(*cost.starts) - cost.sum_s(*LOADS) - sum(parts_s.values())
    )
    parts_s["between trials"] = 0.0 if cost.runs_s is None else cost.runs_s - trials_s
    return ", ".join(f"{name} {_min(s)}" for name, s in parts_s.items() if s >= 0.05)


def ratio_lines(costs: Sequence[Cost]) -> list[str]:
    """Write the ratio restart per trial : kept : shortest of each study that kept its servers.

    Each stands beside each study that restarted them; without one, restarting is estimated.
    """
    restarting = [c for c in costs if c.restarts and c.launches]
    lines = []
    for kept in (c for c in costs if not c.restarts and c.wall_s and c.launches):
        lines += [_measured_ratio(other, kept) for other in restarting]
        if not restarting:
            why = f"{kept.name}; restart per trial is estimated from it"
            lines.append(f"{_ratio(kept.restarting_s, kept)}  ({why})")
    return lines


def _measured_ratio(other: Cost, kept: Cost) -> str:
    if differing := differing_names(other.identity, kept.identity):
        return f"{kept.name} and {other.name}: no ratio, they differ in {', '.join(differing)}"
    each = (other.wall_s / len(other.launches)) / (kept.wall_s / len(kept.launches))
    per_launch = f"; for each launch {each:.2f} : 1"
    per_launch *= len(other.launches) != len(kept.launches)
    beside = f"{other.name} beside {kept.name}, measured{per_launch}"
    return f"{_ratio(other.wall_s, kept)}  ({beside})"


def _ratio(restarting_s: float, kept: Cost) -> str:
    shortest = "not known" if kept.shortest_s is None else f"{kept.shortest_s / kept.wall_s:.2f}"
    return (
        f"restart per trial : kept : shortest = {restarting_s / kept.wall_s:.2f} : 1 : {shortest}"
    )


def _min(s: float) -> str:
    return f"{s / 60:.1f} min"


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"
