"""What a run would do, without launching anything: every configuration, its arithmetic, commands, starts and time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

from objectives.allocation import Allocation
from objectives.measurement import Measurement
from objectives.servers import memory_budget
from objectives.setting import Setting
from study.bench.commands import commands, order_by_llm
from study.spec.model import Spec
from study.trial_time import guess_s

SHOWN = 60


def plan(
    spec: Spec,
    setting: Setting,
    *,
    env: Mapping[str, str],
    total_mib: float | None,
    held_mib: float,
    known: Sequence[tuple[Allocation, Measurement]],
    done: Mapping[str, bool],
    seconds_per_trial: float | None,
    max_trials: int,
    timeout_s: float,
    recorded: Sequence[str] | None = None,
) -> list[str]:
    """Lines for a person; arithmetic only where the device's total is known.

    done: what was measured, and whether it worked within every limit
    recorded: of a replay, the configuration of each launch that it can draw
    """
    size = spec.search_space.size
    if size is None:
        said = ["the space has a continuous range: no list of configurations"]
        cells = [spec.baseline]
    else:
        listed = (a for a in spec.search_space.grid() if recorded is None or str(a) in recorded)
        cells = list(itertools.islice(listed, SHOWN))
        said = [f"{size} configurations, {len(done)} of them measured; at most {max_trials} trials over all runs"]
        said += [f"(the first {SHOWN} are shown)"] if next(listed, None) is not None else []
    figures = memory_budget.figures(known)
    for tenant in spec.tenants if total_mib is not None else ():
        mib = tenant.held_mib(total_mib or 0.0)
        left = (total_mib or 0.0) - held_mib - mib
        said.append(f"tenant {tenant.name} will hold {mib:,} MiB; {left:,.0f} MiB are left beside it")
    for a in order_by_llm(cells, spec.baseline):
        mark = "baseline" if str(a) == str(spec.baseline) else ""
        if (works := done.get(str(a))) is not None:
            mark = "measured: works" if works else "measured: does not work"
        verdict = "no device here, no arithmetic"
        if total_mib is not None:
            held = held_mib + sum(t.held_mib(total_mib) for t in spec.tenants)
            found = memory_budget.check(
                a, figures, total_mib=total_mib, tenants_mib=held, reserve_mib=setting.reserve_mib
            )
            verdict = f"{found.fits}: {found.explanation}"
        said.append(f"  {a}  {verdict}" + (f"  [{mark}]" if mark else ""))
    lines = [commands(a, setting, env) for a in order_by_llm(cells, spec.baseline)]
    said += ["server commands:", *dict.fromkeys(f"  {name}  {c[name]}" for name in ("stt", "llm") for c in lines)]
    if recorded is not None:
        which = f"{len(set(recorded))} configurations in {len(recorded)} launches"
        return [*said, f"a replay, which takes seconds: nothing is launched; the recording holds {which}"]
    remaining = min(max_trials, size or max_trials) - len(done)
    each_s = seconds_per_trial or guess_s(spec)
    fits = max(1, int(timeout_s // each_s))
    starts = len({str(commands(a, setting, env)["llm"]) for a in cells if str(a) not in done})
    source = "measured" if seconds_per_trial else "estimated"
    said.append(
        f"at least {starts} starts of the LLM server for these; about {each_s / 60:.1f} min a trial ({source}), "
        f"{max(0, remaining) * each_s / 60:.0f} min for {max(0, remaining)} trials: "
        f"{math.ceil(max(0, remaining) / fits)} run(s) of {timeout_s:g} s"
    )
    return said
