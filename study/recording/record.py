"""A whole space is measured live into one recording; it is resumable, each repeat a launch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from objectives.allocation import Allocation
from objectives.errors import BadInput
from objectives.recording import Provenance, RecordedLaunch, Recording, read, write
from objectives.setting import conditions
from study.bench.bench import Bench, bench
from study.bench.run_lock import alone
from study.lanes.cards.named import benches, specs_on
from study.lanes.measuring import cards_borrowed
from study.provenance import git_commit
from study.recording.export_study import (
    gather,
    provenance_of,
    refuse_other_conditions,
    with_ramp_range,
)
from study.recording.launching import launch_here, launch_in_lanes
from study.recording.rounds import rounds
from study.search.expected_time import TimeBudget
from study.service_pause.options import Lending
from study.spec.memory.on_device import on_device
from study.spec.model import Spec
from study.spec.setting import conditions_of, setting_of


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
    devices: str | None = None,
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
        devices: The cards to measure on at once, as the command line has them; None for the spec's
            own.

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
    if out.suffix != ".jsonl" or out.is_dir():
        raise BadInput(f"--out {out} names no recording; write one such as {out.stem}.jsonl")
    if not repeats:
        return _merge(spec, out, take)
    specs = specs_on(devices, spec, tell)
    with alone(out.with_suffix("")) as reaped:
        for line in reaped:
            tell(line)
        # launch even what the arithmetic rules out: evidence is recorded
        machine = bench(replace(setting_of(spec), precheck=False), specs[0])
        machines = benches(machine, specs)
        device = machine.device.identity
        spec = on_device(spec, device.total_mib, device.product)
        planned = [*rounds(spec.search_space, spec.baseline, spec.services, repeats, points, part)]
        return _record(spec, out, planned, tell, timeout_s, take, lending, machines)


def _merge(spec: Spec, out: Path, take: Sequence[Path]) -> Recording:
    """Merge what other recordings and live studies hold into one; no device is needed.

    The header is that of the first.
    """
    files = [*([out] if out.exists() else []), *take]
    if not files:
        raise BadInput(
            "--repeats 0 launches nothing: name recordings (.jsonl) or a study.db with --take"
        )
    first, *others = map(provenance_of, files)
    provenance = first.with_devices(*others)
    spec = on_device(spec, provenance.device.total_mib, provenance.device.product)
    entries = gather(files, conditions_of(spec), provenance, [])
    write(out, with_ramp_range(provenance, entries), entries)
    return read(out)


def _record(
    spec: Spec,
    out: Path,
    planned: Sequence[tuple[Allocation, int]],
    tell: Callable[[str], None],
    timeout_s: float | None,
    take: Sequence[Path],
    lending: Lending,
    machines: Sequence[Bench],
) -> Recording:
    began = time.monotonic()
    lent_at = time.monotonic()
    with cards_borrowed(spec.baseline, machines, lending, tell) as lent:
        if lending.max_outage_s is not None:
            began, timeout_s = lent_at, min(timeout_s or math.inf, lending.left_s(lent_at))
        entries, provenance = _known(spec, out, take, lent)
        budget = TimeBudget(math.inf if timeout_s is None else timeout_s, tell, began)
        launched = launch_here if len(lent) == 1 else launch_in_lanes
        launched(spec, out, planned, tell, budget, entries, provenance, lent)
    return read(out)


def _known(
    spec: Spec, out: Path, take: Sequence[Path], machines: Sequence[Bench]
) -> tuple[list[RecordedLaunch], Provenance]:
    """Return what is recorded already, and where it comes from, with what is about to be."""
    entries: list[RecordedLaunch] = []
    provenance = _provenance(machines, conditions(setting_of(spec)), spec.limits)
    if out.exists():
        earlier = read(out)
        refuse_other_conditions(earlier, provenance)
        entries, provenance = list(earlier.entries), earlier.provenance.with_devices(provenance)
    if take:
        entries = gather(take, conditions_of(spec), provenance, entries)
        provenance = provenance.with_devices(*map(provenance_of, take))
        provenance = with_ramp_range(provenance, entries)
        write(out, provenance, entries)
    return entries, provenance


def _provenance(
    machines: Sequence[Bench], spec_conditions: Mapping[str, Any], limits: Mapping[str, float]
) -> Provenance:
    return Provenance(
        devices=tuple(machine.device.identity for machine in machines),
        versions=machines[0].versions,
        conditions=spec_conditions,  # models as the spec names them, for a replay
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        limits=limits,
        git_commit=git_commit(Path(__file__).parent),
    )
