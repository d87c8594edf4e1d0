"""This module forecasts what a run would do, as data, without launching anything.

It has every configuration with its arithmetic, commands, starts and time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from objectives.allocation import Allocation
from objectives.devices.device_set import Room
from objectives.engines.registry import commands_of, engines_of
from objectives.fit.cell import Cell
from objectives.fit.fits import Fits
from objectives.measurement import Measurement
from objectives.search_space.space import Space
from objectives.servers.earlier_starts import predicted
from objectives.servers.memory_budget import Prediction
from objectives.servers.supervision.guard import Guard
from objectives.setting import Setting
from study.bench.launch_order import launch_key, order_by_restarts
from study.bench.word_outlook import WordOutlook
from study.search.effort import Effort
from study.search.expected_time import guess_s

LISTED = 60  # configurations; a space may have thousands


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A neighbour is a tenant that the study holds itself.

    Args:
        name: Its name.
        mib: What it will hold, MiB.
        left_mib: What is left of the device beside it and what others hold now, MiB.
    """

    name: str
    mib: int
    left_mib: float


@dataclass(frozen=True, slots=True)
class Prospect:
    """A prospect is a configuration that a run may launch.

    Args:
        allocation: What would be launched.
        is_baseline: Whether it is in use today.
        works: Whether it was measured within every limit; None where it was not measured.
        check: What arithmetic says of it.
        by_files: What the models' files say of it, where arithmetic cannot yet; None else.
    """

    allocation: Allocation
    is_baseline: bool
    works: bool | None
    check: Prediction
    by_files: Cell | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """A forecast says what a run would do.

    Args:
        size: Configurations in the space; None where a range is continuous.
        measured: How many of them are measured.
        max_trials: The most over all runs.
        prospects: The configurations, in the order of their launches.
        has_more: Whether the space has more than are listed.
        neighbours: The study's own tenants.
        commands: Each command once, by service, in the order of their start; the baseline's only
            where the space has more than are listed.
        recorded: Of a replay, the configuration of each launch that it can draw.
        effort: What the trials that are left take.
        words: Of which configurations the clips cannot judge the words; None where of none.
        unread: Why the models' files say nothing; empty where they were read.
        uncounted: In sentences, the memory beside the turn that they do not tell.
        total_mib: The memory of the device, MiB.
        has_today: Whether the baseline is in use today, and not only tried first.
        is_full: Whether none of what is left to measure would be launched, for its memory.
        guard: What keeps each launch from outliving the study; None where nothing is launched.
    """

    size: int | None
    measured: int
    max_trials: int
    prospects: tuple[Prospect, ...]
    has_more: bool
    neighbours: tuple[Neighbour, ...]
    commands: Mapping[str, tuple[str, ...]]
    recorded: Sequence[str] | None
    effort: Effort
    words: WordOutlook | None = None
    unread: str = ""
    uncounted: tuple[str, ...] = ()
    total_mib: float = 0.0
    has_today: bool = True
    is_full: bool = False
    guard: Guard | None = None


def forecast(
    space: Space,
    baseline: Allocation,
    setting: Setting,
    *,
    env: Mapping[str, str],
    rooms: Mapping[str, Room],
    measurements: Sequence[tuple[Allocation, Measurement]],
    done: Mapping[str, bool],
    seconds_per_trial: float | None,
    counted: int,
    max_trials: int,
    timeout_s: float,
    replicates: bool,
    recorded: Sequence[str] | None = None,
    by_files: Callable[[Allocation], Cell] | None = None,
    lanes: int = 1,
) -> Forecast:
    """Return the forecast.

    Args:
        rooms: The devices by name, the LLM's first, with what other processes hold of them now.
        done: What was measured, and whether it worked within every limit.
        seconds_per_trial: As measured so far; None where nothing was.
        counted: Trials of earlier runs that count.
        max_trials: The most over all runs.
        timeout_s: Of one run, seconds.
        replicates: Whether the leaders are measured again once every configuration was.
        recorded: Of a replay, the configuration of each launch that it can draw.
        by_files: It is asked what the models' files say of an allocation; None where they are not
            read.
        lanes: How many trials are measured at once.
    """
    grid = space.grid() if space.size is not None else [baseline]
    listable = (a for a in grid if recorded is None or str(a) in recorded)
    chosen = list(itertools.islice(listable, LISTED))
    has_more = next(listable, None) is not None
    if has_more and str(baseline) not in map(str, chosen):
        chosen = [baseline, *chosen[:-1]]
    ordered = order_by_restarts(setting.services, chosen, baseline)
    neighbours, full = list[Neighbour](), dict(rooms)
    for t in setting.tenants:
        name = t.device or next(iter(rooms))
        if (room := full.get(name)) is None:  # on a device that the plan does not know
            continue
        total_mib = room.identity.total_mib
        mib = t.held_mib(total_mib)
        neighbours.append(Neighbour(t.name, mib, total_mib - rooms[name].held_mib - mib))
        full[name] = replace(room, held_mib=room.held_mib + mib)
    engines = engines_of(setting.services)

    def prospect(a: Allocation) -> Prospect:
        checked = predicted(a, measurements, engines, full, setting.reserve_mib)
        cell = by_files(a) if by_files and checked.fits is Fits.UNKNOWN else None
        return Prospect(a, str(a) == str(baseline), done.get(str(a)), checked, cell)

    prospects = tuple(prospect(a) for a in ordered)
    new = [p for p in prospects if str(p.allocation) not in done]
    launched = [p for p in new if not (setting.precheck and p.check.is_ruled_out)]
    of = [baseline] if has_more else ordered
    commands = [commands_of(setting.services, a, env) for a in of]
    most_trials = max(0, max_trials - counted)
    trials_left = most_trials
    if space.size is not None:
        trials_left = min(most_trials, max(0, space.size - len(done) - len(new) + len(launched)))
    each_s = seconds_per_trial or guess_s(setting.workload)
    first_more_s = 0.0
    if not (counted or seconds_per_trial):
        first_more_s = guess_s(setting.workload, is_first=True) - each_s
    return Forecast(
        size=space.size,
        measured=len(done),
        max_trials=max_trials,
        prospects=prospects,
        is_full=bool(new) and not launched and not has_more and space.size is not None,
        has_more=has_more,
        neighbours=tuple(neighbours),
        commands={e.name: tuple(dict.fromkeys(str(c[e.name]) for c in commands)) for e in engines},
        recorded=recorded,
        total_mib=next(iter(rooms.values())).identity.total_mib,
        effort=Effort(
            starts=len({launch_key(setting.services, p.allocation) for p in launched}),
            each_s=each_s,
            is_measured=bool(seconds_per_trial),
            trials=trials_left,
            most_trials=most_trials if replicates else trials_left,
            timeout_s=timeout_s,
            first_more_s=first_more_s,
            lanes=lanes,
            is_begun=counted > 0,
        ),
    )
