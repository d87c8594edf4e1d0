"""Says what a run would do, without launching anything.

It lists every configuration, its arithmetic, commands, starts and time.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import optuna

from objectives.allocation import Allocation
from objectives.engines.engine import commands_of
from objectives.measurement import Measurement
from objectives.servers import memory_budget
from objectives.setting import Setting
from study.bench.launch_order import order_by_llm
from study.bench.source import Source, held_in
from study.search.expected_time import guess_s
from study.search.open_study import succession
from study.service_pause.options import Lending, outage
from study.spec.model import Spec
from study.storage.trials import State, Trial, counted, measured_in
from study.storage.url import open_storage, sqlite_file

SHOWN = 60


def plan(
    spec: Spec,
    setting: Setting,
    *,
    env: Mapping[str, str],
    total_mib: float | None,
    held_mib: float,
    measurements: Sequence[tuple[Allocation, Measurement]],
    done: Mapping[str, bool],
    seconds_per_trial: float | None,
    max_trials: int,
    timeout_s: float,
    recorded: Sequence[str] | None = None,
) -> list[str]:
    """Return the plan in lines for a person; arithmetic needs the device's total.

    Args:
        total_mib: of the device; None where there is none here
        held_mib: what other processes hold of it now
        done: what was measured, and whether it worked within every limit
        seconds_per_trial: as measured so far; None where nothing was
        recorded: of a replay, the configuration of each launch that it can draw
    """
    size = spec.search_space.size
    if size is None:
        lines = ["the space has a continuous range: no list of configurations"]
        cells = [spec.baseline]
    else:
        listed = (a for a in spec.search_space.grid() if recorded is None or str(a) in recorded)
        cells = list(itertools.islice(listed, SHOWN))
        lines = [
            f"{size} configurations, {len(done)} of them measured; "
            f"at most {max_trials} trials over all runs"
        ]
        lines += [f"(the first {SHOWN} are shown)"] if next(listed, None) is not None else []
    figures = memory_budget.figures(measurements)
    for tenant in spec.tenants if total_mib is not None else ():
        mib = tenant.held_mib(total_mib or 0.0)
        left = (total_mib or 0.0) - held_mib - mib
        lines.append(
            f"tenant {tenant.name} will hold {mib:,} MiB; {left:,.0f} MiB are left beside it"
        )
    for a in order_by_llm(cells, spec.baseline):
        mark = "baseline" if str(a) == str(spec.baseline) else ""
        if (works := done.get(str(a))) is not None:
            mark = "measured: works" if works else "measured: does not work"
        verdict = "no device here, no arithmetic"
        if total_mib is not None:
            held = held_mib + sum(t.held_mib(total_mib) for t in spec.tenants)
            check = memory_budget.check(
                a, figures, total_mib=total_mib, tenants_mib=held, reserve_mib=setting.reserve_mib
            )
            verdict = f"{check.fits}: {check.explanation}"
        lines.append(f"  {a}  {verdict}" + (f"  [{mark}]" if mark else ""))
    ordered = order_by_llm(cells, spec.baseline)
    by_cell = {str(a): commands_of(setting.services, a, env) for a in ordered}
    lines += [
        "server commands:",
        *dict.fromkeys(f"  {name}  {c[name]}" for name in ("stt", "llm") for c in by_cell.values()),
    ]
    if recorded is not None:
        which = f"{len(set(recorded))} configurations in {len(recorded)} launches"
        return [
            *lines,
            f"a replay, which takes seconds: nothing is launched; the recording holds {which}",
        ]
    remaining = min(max_trials, size or max_trials) - len(done)
    each_s = seconds_per_trial or guess_s(spec.workload)
    fits = max(1, int(timeout_s // each_s))
    starts = len({str(c["llm"]) for cell, c in by_cell.items() if cell not in done})
    source = "measured" if seconds_per_trial else "estimated"
    lines.append(
        f"at least {starts} starts of the LLM server for these; "
        f"about {each_s / 60:.1f} min a trial ({source}), "
        f"{max(0, remaining) * each_s / 60:.0f} min for {max(0, remaining)} trials: "
        f"{math.ceil(max(0, remaining) / fits)} run(s) of {timeout_s:g} s"
    )
    return lines


def foreseen(
    spec: Spec,
    source: Source,
    storage: str,
    name: str,
    max_trials: int,
    timeout_s: float,
    lending: Lending,
) -> list[str]:
    """Return the plan from what the study already knows, in lines for a person.

    Nothing is opened that does not exist.
    """
    trials: list[Trial] = []
    file = sqlite_file(storage)
    if file is None or file.exists():
        opened = open_storage(storage)
        if names := succession(opened, name):
            trials = counted(optuna.load_study(study_name=names[-1], storage=opened))
    measurements, recorded = measured_in(trials), None
    if source.recording is not None:
        recorded = [str(a) for a in held_in(source.recording, spec)]
        measurements = [
            (Allocation(e.values), e.measurement)
            for e in source.recording.entries
            if e.measurement is not None
        ]
    walls = [r.wall_s for r in trials if r.state is State.COMPLETE and r.wall_s > 0]
    held, lent = 0.0, lending.states()
    if source.bench is not None:
        held = source.identity.total_mib - source.bench.device.sample().free_mib
        held -= sum(
            o.mib or 0.0 for o in source.bench.occupants if o.unit in {s.unit for s in lent}
        )
    each_s = sum(walls) / len(walls) if walls else None
    done = {str(r.allocation): r.is_feasible for r in trials if r.is_known}
    left = max(0, min(max_trials, spec.search_space.size or max_trials) - len(done))
    lines = plan(
        spec,
        source.setting,
        env=source.bench.device.server_env if source.bench else {},
        total_mib=source.identity.total_mib,
        held_mib=held,
        measurements=measurements,
        done=done,
        timeout_s=timeout_s,
        seconds_per_trial=each_s,
        max_trials=max_trials,
        recorded=recorded,
    )
    expected_s = min(timeout_s, left * (each_s or guess_s(spec.workload)))
    return lines + outage(lent, expected_s, lending.max_outage_s) if lent else lines
