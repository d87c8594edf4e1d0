"""Measure a whole space live into one recording; resumable, each repeat a separate launch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from objectives.allocation import Allocation
from objectives.capacity.ramp_range import RampRange
from objectives.colocation import Colocation
from objectives.errors import BadInput
from objectives.evaluation import Job
from objectives.recording import Provenance, RecordedLaunch, Recording, entry, read, write
from objectives.setting import conditions
from study.bench.bench import Bench, bench, borrowed
from study.bench.run_lock import alone
from study.provenance import git_commit
from study.recording.export_study import gather, refuse_other_conditions
from study.recording.rounds import longest_s, remaining, rounds
from study.search.expected_time import TimeBudget
from study.service_pause.options import Lending
from study.spec.memory.on_device import on_device
from study.spec.model import Spec
from study.spec.setting import conditions_of, setting_of
from study.wording import phase_in_words


def record(
    spec: Spec,
    out: Path,
    repeats: int,
    tell: Callable[[str], None],
    *,
    timeout_s: float | None = None,
    take: Sequence[Path] = (),
    points: int | None = None,
    part: tuple[int, int] = (1, 1),
    lending: Lending = Lending(),  # noqa: B008  frozen
) -> Recording:
    """Measure every configuration of the space, `repeats` times, baseline first.

    What `out` already holds stays. Each round ends with the baseline, launched afresh, so that a
    drift of the device can be seen: it has twice as many entries. A card that goes on with what
    another began measures the baseline before all else. A launch that was disturbed is said and
    left out, so that the next run tries it again.

    Args:
        repeats: With 0 nothing is launched.
        timeout_s: Nothing is begun that would not end within it.
        take: Recordings and databases of live studies whose evaluations count too.
        points: Only so many configurations, spread over the space; later rounds measure a quarter
            of them again.
        part: Which of how many parts, for as many cards at once: (1, 2) is the first half; no LLM
            command is in two.
        lending: The units that lend their GPU meanwhile.

    Raises:
        BadInput: The space is not countable, or `out` was made under other conditions.
        SetupError: Nothing can be measured here.
    """
    if spec.measure != "live":
        raise BadInput(f"{spec.name}: a recording needs `measure: live`")
    if spec.search_space.size is None:
        raise BadInput(
            f"{spec.name}: a recording needs lists or stepped ranges, not a continuous range"
        )
    if not out.suffix or out.is_dir():
        raise BadInput(f"--out {out} names no file; write one such as {out}.jsonl")
    if not repeats:
        return _merge(spec, out, take)
    with alone(out.with_suffix("")) as reaped:
        for line in reaped:
            tell(line)
        # launch even what the arithmetic rules out: evidence is recorded
        machine = bench(replace(setting_of(spec), precheck=False), spec)
        device = machine.device.identity
        spec = on_device(spec, device.total_mib, device.product)
        planned = [*rounds(spec.search_space, spec.baseline, spec.services, repeats, points, part)]
        return _record(spec, out, planned, tell, timeout_s, take, lending, machine)


def _merge(spec: Spec, out: Path, take: Sequence[Path]) -> Recording:
    """Merge what other recordings hold into one; no device is needed.

    The header is that of the first.
    """
    files = [*([out] if out.exists() else []), *take]
    if not files or any(f.suffix != ".jsonl" for f in files):
        raise BadInput("--repeats 0 launches nothing: name recordings (.jsonl) with --take")
    first, *others = (read(file).provenance for file in files)
    provenance = first.with_devices(*others)
    spec = on_device(spec, provenance.device.total_mib, provenance.device.product)
    write(out, provenance, gather(files, conditions_of(spec), provenance, []))
    return read(out)


def _record(
    spec: Spec,
    out: Path,
    planned: Sequence[tuple[Allocation, int]],
    tell: Callable[[str], None],
    timeout_s: float | None,
    take: Sequence[Path],
    lending: Lending,
    machine: Bench,
) -> Recording:
    began = time.monotonic()
    lent_at = time.monotonic()
    with borrowed(spec.baseline, machine, lending, tell) as lent:
        if lending.max_outage_s is not None:
            began, timeout_s = lent_at, min(timeout_s or math.inf, lending.left_s(lent_at))
        return _launched(spec, out, planned, tell, began, timeout_s, take, lent)


def _launched(
    spec: Spec,
    out: Path,
    planned: Sequence[tuple[Allocation, int]],
    tell: Callable[[str], None],
    began: float,
    timeout_s: float | None,
    take: Sequence[Path],
    machine: Bench,
) -> Recording:
    entries: list[RecordedLaunch] = []
    provenance = _provenance(machine, conditions(setting_of(spec)), spec.limits)
    if out.exists():
        earlier = read(out)
        refuse_other_conditions(earlier, provenance)
        entries, provenance = list(earlier.entries), earlier.provenance.with_devices(provenance)
    if take:
        taken = (read(file).provenance for file in take if file.suffix == ".jsonl")
        provenance = provenance.with_devices(*taken)
        entries = gather(take, conditions_of(spec), provenance, entries)
        write(out, provenance, entries)
    stored = provenance.ramp_range
    ramp_range = RampRange.from_json(stored) if stored else None
    folder, card = out.with_suffix(""), machine.device.identity.uuid
    todo = remaining(planned, entries, spec.baseline, card)
    budget = TimeBudget(math.inf if timeout_s is None else timeout_s, tell, began)
    with Colocation(
        machine.setting,
        machine.devices,
        folder,
        on_phase=lambda phase: tell(f"    {phase_in_words(phase)}"),
        ramp_range=ramp_range,
    ) as colocation:
        before: tuple[Allocation, int] | None = None
        for done, (allocation, repeat) in enumerate(todo, start=1):
            expected_s = longest_s(spec.workload, entries, allocation)
            if not budget.lets_begin(expected_s):
                tell(
                    f"{allocation} takes about {expected_s:.0f} s and would not end in time; "
                    "run again to go on"
                )
                break
            if before is not None and (
                repeat != before[1] or str(allocation) == str(spec.baseline)
            ):
                colocation.restart()
            before = (allocation, repeat)
            tell(f"[{done}/{len(todo)}] {allocation}, repeat {repeat}")
            name = f"{str(allocation).replace(' ', '_')}-{repeat}"
            job = Job(allocation, repeat, folder / name)
            job.folder.mkdir(parents=True, exist_ok=True)
            started = time.monotonic()
            outcome = colocation.measure(job).raise_for_setup()
            if (failure := outcome.failure) is not None and not failure.is_ruled_out:
                tell(f"    left out, run again for it: {failure}")
                continue
            entries.append(entry(job, repeat, time.monotonic() - started, outcome, card))
            if failure is not None:
                tell(f"    {failure}")
            if colocation.ramp_range is not None:
                provenance = replace(provenance, ramp_range=colocation.ramp_range.to_json())
            write(out, provenance, entries)
    return read(out)


def _provenance(
    machine: Bench, spec_conditions: Mapping[str, Any], limits: Mapping[str, float]
) -> Provenance:
    return Provenance(
        devices=(machine.device.identity,),
        versions=machine.versions,
        conditions=spec_conditions,  # models as the spec names them, for a replay
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        limits=limits,
        git_commit=git_commit(Path(__file__).parent),
    )
