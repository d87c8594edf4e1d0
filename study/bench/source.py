"""Figures come from a source, this machine's bench or a recording, which is chosen here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna

from objectives.allocation import Allocation
from objectives.devices.cores import cores_here
from objectives.devices.device import Identity
from objectives.devices.device_set import label
from objectives.devices.telemetry import Occupancy
from objectives.errors import BadInput, SetupError
from objectives.evaluation import Job, Measure, OnPhase, Outcome, Phase, Step
from objectives.plain_data.by_type import ODD_DATA
from objectives.recording import Recording, read
from objectives.recording.kept_replies import leave
from objectives.search_space.space import Space
from objectives.servers.versions import Versions
from objectives.setting import Setting, conditions
from study.bench.bench import Bench, bench
from study.bench.full_device import mib
from study.provenance import git_commit
from study.spec.choices import RECORDED
from study.spec.memory.on_device import on_device
from study.spec.model import Spec, SpecFile
from study.spec.setting import setting_of
from study.storage.comparability import differing_names
from study.storage.context import RAMP_RANGE, StudyContext, fields_from, ramp_range_of
from study.storage.trial import measured_in
from study.storage.trials import counted


@dataclass(frozen=True, slots=True)
class Source:
    """A source is where figures come from: this machine's bench, or a recording.

    Args:
        identity: The device, this one or the recording's.
        versions: The versions of the servers.
        setting: What is the same for all trials.
        bench: This machine; None in a replay.
        recording: The recording; None where it is measured live.
        lanes: The benches of further cards, which are measured on at once.
    """

    identity: Identity
    versions: Versions
    setting: Setting
    bench: Bench | None
    recording: Recording | None
    lanes: Sequence[Bench] = ()


def say_notes(file: SpecFile, say: Callable[[str], None]) -> None:
    """Tell what a person must know of a spec, and which of its keys are ignored."""
    for note in file.notes:
        say(f"note: {note}")
    if file.ignored:
        say(f"ignored in the spec: {', '.join(file.ignored)}")


def find_source(
    spec: Spec, sampler: str, say: Callable[[str], None], warn: Callable[[str], None]
) -> Source:
    """Look at the recording or at this machine, and say plainly which.

    Args:
        sampler: Its name: one that searches needs every configuration of the space in a recording.
        say: It is given a line each.
        warn: It is given the lines that must be seen.

    Raises:
        BadInput: The spec and the recording differ.
        SetupError: Nothing can be measured here.
    """
    say_notes(spec, say)
    setting = setting_of(spec)
    if isinstance(spec.measure, Path):
        recording = read(spec.measure)
        device = recording.provenance.device
        spec = on_device(spec, device.total_mib, device.product)
        if dict(spec.limits) != dict(recording.provenance.limits):
            recording = replace(recording, limits=spec.limits)
        here = conditions(setting)
        for part in ("workload", "services", "tenants"):
            there = recording.provenance.conditions[part]
            if differing_names({part: there}, {part: here[part]}):
                names = _differing(here[part], there)
                raise BadInput(
                    f"{spec.path}: {part} differ from the recording {recording.path.name} "
                    f"({names}); use the recording's own, or write `measure: live`"
                )
        if spec.search_space.size is None:
            raise BadInput(
                f"{spec.path}: a continuous range cannot be replayed; "
                "list the values that were recorded"
            )
        if sampler == RECORDED and str(spec.baseline) not in {e.key for e in recording.entries}:
            raise BadInput(
                f"{spec.path}: baseline: {recording.path.name} holds no measurement of it; "
                "name one that is there"
            )
        for allocation in () if sampler == RECORDED else spec.search_space.grid():
            recording.cell(allocation)
        warn(f"These numbers were not measured on this machine: they were {recording.sentence()}.")
        say(
            'To measure this one: README, "Measure your own GPU", '
            'or "Measure this machine, without a GPU".'
        )
        say(f"recording: {recording.path.name}, format {recording.format}")
        return Source(
            recording.provenance.device, recording.provenance.versions, setting, None, recording
        )
    return source_on(bench(setting, spec), say)


def source_on(machine: Bench, say: Callable[[str], None], *, is_here: bool = True) -> Source:
    """Say what stands ready, on this machine or on another, and return it."""
    for name, each in machine.devices.items():
        one = each.identity
        what = f"device {label(name, machine.devices)}".strip()
        say(f"{what}: {one.product}, {one.total_mib:,.0f} MiB{one.software}")
    for note in machine.notes:
        say(f"note: {note}")
    for service, packages in machine.versions.items():
        installed = ", ".join(f"{k} {v}" for k, v in packages.items())
        say(f"{service}: {installed or 'a command of its own, whose versions are not known'}")
    if is_here:
        say(f"cores: {cores_here()}")
    for o in machine.occupants[:8]:
        say(
            f"  on the device: {o.pid:>8} {mib(o)}  {o.command[:60]}"
            + (f" ({o.unit})" if o.unit else "")
        )
    return Source(machine.device.identity, machine.versions, machine.setting, machine, None)


def launches_to_replay(
    space: Space, baseline: Allocation, source: Source, sampler: str
) -> list[Allocation] | None:
    """Return each launch that a study which follows its recording asks for, the baseline's first.

    It is None where the study follows none.
    """
    if source.recording is None or sampler != RECORDED:
        return None
    return sorted(held_in(source.recording, space), key=lambda a: str(a) != str(baseline))


def held_in(recording: Recording, space: Space) -> list[Allocation]:
    """Return the configuration of each launch of a recording in the space, in its order."""
    allocations = {str(a): a for a in space.grid()}
    return [allocations[e.key] for e in recording.entries if e.key in allocations]


def context_for(spec: Spec, source: Source) -> StudyContext:
    """Return what this run asks, kept with the study for whoever reads it."""
    bench, recording = source.bench, source.recording
    held_mib = None
    if bench is not None:
        held_mib = round(source.identity.total_mib - bench.device.sample().free_mib)
    return StudyContext(
        **fields_from(spec, source.setting),
        device=source.identity,
        other_devices=others_of(source),
        versions=source.versions,
        server_env=dict(bench.device.server_env) if bench else {},
        held_mib=held_mib,
        measured_elsewhere=recording.sentence() if recording else None,
        git_commit=git_commit(Path(__file__).parent),
    )


def others_of(source: Source) -> dict[str, Identity]:
    """Return the other devices of a study by name; none where it has one."""
    devices = source.bench.devices if source.bench else {}
    return {name: device.identity for name, device in list(devices.items())[1:]}


def _differing(here: Any, there: Any) -> str:
    if isinstance(here, dict) and isinstance(there, dict):
        names = {**here, **there}  # a key that one of them lacks differs too
        return ", ".join(k for k in names if here.get(k) != there.get(k))
    return f"{here} here, {there} there"


@contextmanager
def measuring(
    source: Source, study: optuna.Study, folder: Path, on_phase: OnPhase
) -> Iterator[tuple[Measure, Callable[[], Occupancy] | None]]:
    """Yield the one function that measures: a recording's, or a live one.

    The live one holds tenants and servers while the block lasts. Beside it comes who holds the
    device's memory, where any is held.
    """
    if (recording := source.recording) is not None:

        def replay(job: Job) -> Outcome:
            on_phase(Phase(Step.REPLAYING))
            try:
                if (rows := recording.replies_of(recording.drawn(job))) is not None:
                    leave(rows, job.folder)  # as its launch did
                return recording.measure(job)
            except ODD_DATA as error:  # each figure can be read, and they do not go together
                raise BadInput(
                    f"{recording.path}: the launches of {job.allocation} cannot be replayed "
                    f"({error}); correct their figures, or name another recording"
                ) from error

        yield replay, None
        return
    if source.bench is None:
        raise SetupError("neither a recording nor a device to measure on")
    # with the load generator, for which a run that has nothing to measure need not wait
    from objectives.colocation.colocation import Colocation  # noqa: PLC0415

    measurements = measured_in(counted(study))
    with Colocation(
        source.setting,
        source.bench.devices,
        folder,
        on_phase=on_phase,
        ramp_range=ramp_range_of(study),
        measurements=measurements,
    ) as colocation:

        def measure(job: Job) -> Outcome:
            outcome = colocation.measure(job)
            if colocation.ramp_range is not None:
                study.set_user_attr(RAMP_RANGE, colocation.ramp_range.to_json())
            return outcome

        yield measure, colocation.servers.occupancy
