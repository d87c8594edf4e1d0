"""What a study's figures stand on: this machine's bench, or a recording; and the one seam that measures on either."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import optuna

from objectives.allocation import Allocation
from objectives.colocation import Colocation
from objectives.devices.device import Identity
from objectives.devices.telemetry import Occupancy
from objectives.errors import BadInput, SetupError
from objectives.evaluation import Job, Measure, OnPhase, Outcome, Phase, Step
from objectives.load.ladder import Slo
from objectives.recording import Recording, conditions, read
from objectives.servers.versions import Versions
from objectives.setting import Anchor, Setting
from study.bench.bench import Bench, bench, mib
from study.provenance import git_commit
from study.spec.choices import RECORDED
from study.spec.model import Spec
from study.spec.setting import setting_of
from study.storage.comparability import differences
from study.storage.context import StudyContext, asked_by
from study.storage.trials import counted, measured_in


@dataclass(frozen=True, slots=True)
class Source:
    """Where figures come from: this machine's bench, or a recording."""

    identity: Identity
    versions: Versions
    setting: Setting
    bench: Bench | None
    recording: Recording | None


def look(
    spec: Spec, sampler: str, say: Callable[[str], None], warn: Callable[[str], None]
) -> Source:
    """Look at the recording or at this machine, and say plainly which.

    sampler: its name: one that searches needs every configuration of the space in a recording
    say, warn: are given a line each; what is given to `warn` must be seen
    raises: BadInput where spec and recording differ; SetupError where nothing can be measured here
    """
    for note in spec.notes:
        say(f"note: {note}")
    if spec.ignored:
        say(f"ignored in the spec: {', '.join(spec.ignored)}")
    if isinstance(spec.measure, Path):
        found = read(spec.measure)
        setting = setting_of(spec)
        here = conditions(setting)
        for part in ("workload", "services", "tenants"):
            there = found.provenance.conditions[part]
            if differences({part: there}, {part: here[part]}):
                names = _differing(here[part], there)
                raise BadInput(
                    f"{spec.path}: {part} differ from the recording {spec.measure.name} ({names}); "
                    "use the recording's own, or write `measure: live`"
                )
        if spec.search_space.size is None:
            raise BadInput(
                f"{spec.path}: a continuous range cannot be replayed; list the values that were recorded"
            )
        if sampler == RECORDED and str(spec.baseline) not in {e.key for e in found.entries}:
            raise BadInput(
                f"{spec.path}: baseline: {spec.measure.name} holds no measurement of it; name one that is there"
            )
        for allocation in () if sampler == RECORDED else spec.search_space.grid():
            found.cell(allocation)
        warn(f"These numbers were not measured on this machine: they were {found.sentence()}.")
        say(
            'To measure this one: README, "Measure your own GPU", or "Measure this machine, without a GPU".'
        )
        return Source(found.provenance.device, found.provenance.versions, setting, None, found)
    made = bench(spec)
    seen = made.device.identity
    driver = f", driver {seen.driver}, CUDA {seen.cuda}" if seen.driver else ""
    say(f"device: {seen.product}, {seen.total_mib:,.0f} MiB{driver}")
    for service, found_there in (("llm", made.versions.llm), ("stt", made.versions.stt)):
        say(f"{service}: " + ", ".join(f"{k} {v}" for k, v in found_there.items()))
    for o in made.occupants[:8]:
        say(
            f"  on the device: {o.pid:>8} {mib(o)}  {o.command[:60]}"
            + (f" ({o.unit})" if o.unit else "")
        )
    return Source(made.device.identity, made.versions, made.setting, made, None)


def launches(spec: Spec, ground: Source, sampler: str) -> list[Allocation] | None:
    """What a study that follows its recording asks: each launch of the space, the baseline's first; None if another."""
    if ground.recording is None or sampler != RECORDED:
        return None
    return sorted(held_in(ground.recording, spec), key=lambda a: str(a) != str(spec.baseline))


def held_in(found: Recording, spec: Spec) -> list[Allocation]:
    """The configuration of each launch of a recording that is in the space, in its order."""
    space = {str(a): a for a in spec.search_space.grid()}
    return [space[e.key] for e in found.entries if e.key in space]


def context_for(spec: Spec, ground: Source) -> StudyContext:
    """What this run asks, kept with the study for whoever reads it."""
    bench, found = ground.bench, ground.recording
    slo = Slo(**found.provenance.slo) if found and found.provenance.slo else None
    return StudyContext(
        **asked_by(spec, ground.setting),
        device=ground.identity,
        versions=ground.versions,
        server_env=dict(bench.device.server_env) if bench else {},
        held_mib=round(ground.identity.total_mib - bench.device.sample().free_mib)
        if bench
        else None,
        slo=slo if found else ground.setting.slo,
        measured_elsewhere=found.sentence() if found else None,
        git_commit=git_commit(Path(__file__).parent),
    )


def _differing(here: Any, there: Any) -> str:
    if isinstance(here, dict) and isinstance(there, dict):
        return ", ".join(k for k in here if here[k] != there.get(k))
    return f"{here} here, {there} there"


@contextmanager
def measuring(
    ground: Source, study: optuna.Study, folder: Path, on_phase: OnPhase
) -> Iterator[tuple[Measure, Callable[[], Occupancy] | None]]:
    """The one seam: a recording's measure, or a live one that holds tenants and servers while the block lasts.

    And who holds the device's memory, where any is held.
    """
    if (recording := ground.recording) is not None:

        def replay(job: Job) -> Outcome:
            on_phase(Phase(Step.REPLAYING))
            return recording.measure(job)

        yield replay, None
        return
    if ground.bench is None:
        raise SetupError("neither a recording nor a device to measure on")
    kept = study.user_attrs.get("anchor")
    anchor = Anchor(Slo(**kept["slo"]), kept["first_rung"]) if kept else None
    known = measured_in(counted(study))
    device = ground.bench.device
    with Colocation(
        ground.setting, device, folder, on_phase=on_phase, anchor=anchor, known=known
    ) as colocation:

        def measure(job: Job) -> Outcome:
            outcome = colocation.measure(job)
            if colocation.anchor is not None:
                study.set_user_attr("anchor", asdict(colocation.anchor))
            return outcome

        yield measure, colocation.occupancy
