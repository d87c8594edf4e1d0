"""A recording's launches are made on one card or on several at once, each written at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from objectives.allocation import Allocation
from objectives.capacity.ramp_range import RampRange
from objectives.colocation.colocation import Colocation
from objectives.evaluation import Job, Outcome
from objectives.recording import Provenance, RecordedLaunch, entry, write
from study.bench.bench import Bench
from study.lanes.card_names import short_name
from study.lanes.measuring import lanes_on
from study.recording.in_lanes import RollingRecord, folder_name, has_time
from study.recording.rounds import remaining
from study.search.expected_time import TimeBudget
from study.spec.model import Spec
from study.wording.phases import phase_in_words


def launch_here(
    spec: Spec,
    out: Path,
    planned: Sequence[tuple[Allocation, int]],
    tell: Callable[[str], None],
    budget: TimeBudget,
    entries: list[RecordedLaunch],
    provenance: Provenance,
    machines: Sequence[Bench],
) -> None:
    """Make the launches one after the other on one card; each is written as it ends."""
    (machine,) = machines
    folder, card = out.with_suffix(""), machine.identity.uuid
    todo = remaining(planned, entries, spec.baseline, card)
    with Colocation(
        machine.setting,
        machine.devices,
        folder,
        on_phase=lambda phase: tell(f"    {phase_in_words(phase)}"),
        ramp_range=_ramp_range(provenance),
    ) as colocation:
        before: tuple[Allocation, int] | None = None
        for done, (allocation, repeat) in enumerate(todo, start=1):
            if not has_time(budget, spec.workload, entries, allocation, tell):
                break
            if before is not None and (
                repeat != before[1] or str(allocation) == str(spec.baseline)
            ):
                colocation.restart()
            before = (allocation, repeat)
            tell(f"[{done}/{len(todo)}] {allocation}, repeat {repeat}")
            job = Job(allocation, repeat, folder / folder_name(allocation, repeat))
            job.folder.mkdir(parents=True, exist_ok=True)
            started = time.monotonic()
            outcome = colocation.measure(job).raise_for_setup()
            if _is_kept(outcome, tell):
                entries.append(entry(job, repeat, time.monotonic() - started, outcome, card))
                provenance = _with_range(provenance, colocation.ramp_range)
                write(out, provenance, entries)


def launch_in_lanes(
    spec: Spec,
    out: Path,
    planned: Sequence[tuple[Allocation, int]],
    tell: Callable[[str], None],
    budget: TimeBudget,
    entries: list[RecordedLaunch],
    provenance: Provenance,
    machines: Sequence[Bench],
) -> None:
    """Make the launches on several cards at once; each is written as it ends."""
    folder, held = out.with_suffix(""), {(e.key, e.repeat) for e in entries}
    todo = [(a, repeat) for a, repeat in planned if (str(a), repeat) not in held]
    with lanes_on(machines, folder, _ramp_range(provenance), (), tell) as lanes:
        rolling = RollingRecord(
            spec=spec,
            lanes=lanes,
            todo=todo,
            entries=entries,
            folder=folder,
            budget=budget,
            tell=tell,
        )
        for end, repeat in rolling.ended():
            outcome = end.outcome.raise_for_setup()
            tell(f"  {end.task.label}: {end.wall_s:.0f} s on {short_name(end.card)}")
            if _is_kept(outcome, tell):
                entries.append(entry(end.task.job, repeat, end.wall_s, outcome, end.card))
                provenance = _with_range(provenance, lanes.ramp_range)
                write(out, provenance, entries)


def _is_kept(outcome: Outcome, tell: Callable[[str], None]) -> bool:
    """Return whether a launch is evidence; one that was disturbed is said and left out."""
    failure = outcome.failure
    if failure is None or failure.is_ruled_out:
        if failure is not None:
            tell(f"    {failure}")
        return True
    tell(f"    left out, run again for it: {failure}")
    return False


def _ramp_range(provenance: Provenance) -> RampRange | None:
    stored = provenance.ramp_range
    return RampRange.from_json(stored) if stored else None


def _with_range(provenance: Provenance, ramp_range: RampRange | None) -> Provenance:
    return replace(provenance, ramp_range=ramp_range.to_json()) if ramp_range else provenance
