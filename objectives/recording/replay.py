"""A recording keeps each evaluation as an entry, and replays them as if they were live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from objectives.allocation import Allocation, Scalar
from objectives.devices.device import Identity
from objectives.diagnosis.diagnosis import Diagnosis
from objectives.engines.registry import SERVER_PACKAGES
from objectives.errors import BadInput
from objectives.evaluation import Job, Outcome
from objectives.measurement import Measurement
from objectives.recording.kept_replies import Rows, are_whole, under
from objectives.servers.blame import raised
from objectives.servers.versions import Versions

# figures by service, memory by device, ramps, replies; 1, of 0.1, had all flat, and ladders
RECORDING_FORMAT = 2


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
        replies: Every request of the window and the ramp, one row each (`REPLY_COLUMNS`); None
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
    replies: Sequence[Sequence[Any]] | None = None

    @property
    def key(self) -> str:
        """Return the configuration, as text."""
        return str(Allocation(self.values))


@dataclass(frozen=True, slots=True)
class Provenance:
    """The provenance says where, when and with what a recording was made.

    Args:
        devices: The devices that measured, the first evaluation's first. Format 1 has no other.
        versions: The versions of the servers' packages.
        conditions: What must be equal for two measurements to be comparable.
        started: When it was begun, in ISO 8601.
        limits: What a good turn meets, ms by name, e.g. `llm_ttft_p95_ms`.
        ramp_range: Where its ramps begin and how fast they grow; None where none was measured.
        git_commit: The commit of this project that measured.
    """

    devices: tuple[Identity, ...]
    versions: Versions
    conditions: Mapping[str, Any]
    started: str
    limits: Mapping[str, float] = field(default_factory=dict)
    ramp_range: Mapping[str, float] | None = None
    git_commit: str | None = None

    @property
    def device(self) -> Identity:
        """Return the device of the first evaluation, which all others are like."""
        return self.devices[0]

    def with_devices(self, *others: Provenance) -> Provenance:
        """Return this provenance with the devices of the others behind its own, each once."""
        devices: dict[str, Identity] = {}
        for device in chain(self.devices, *(other.devices for other in others)):
            devices.setdefault(device.uuid, device)
        return replace(self, devices=tuple(devices.values()))


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording holds all entries of one file.

    Args:
        path: The file.
        provenance: Where, when and with what it was made.
        entries: Its evaluations.
        format: The format of the file: 2, or 1 of version 0.1.
        limits: Other limits than those it was measured under, ms by name; None for its own.
    """

    path: Path
    provenance: Provenance
    entries: tuple[RecordedLaunch, ...]
    format: int = RECORDING_FORMAT
    limits: Mapping[str, float] | None = None

    def cell(self, allocation: Allocation) -> tuple[RecordedLaunch, ...]:
        """Return the repeats of one configuration, in the order they were measured.

        Raises:
            BadInput: The configuration was not recorded.
        """
        key = str(allocation)
        repeats = tuple(e for e in self.entries if e.key == key)
        if not repeats:
            raise BadInput(
                f"{self.path.name} holds no measurement of {allocation}; search only what was "
                "recorded, run with --sampler recorded, or write `measure: live`"
            )
        return repeats

    def drawn(self, job: Job) -> RecordedLaunch:
        """Return the repeat that the seed of a job chooses.

        Raises:
            BadInput: The configuration was not recorded.
        """
        repeats = self.cell(job.allocation)
        return repeats[job.seed % len(repeats)]

    def measure(self, job: Job) -> Outcome:
        """Return one of the repeats, chosen by the job's seed; a failure where the launch failed.

        Raises:
            BadInput: The configuration was not recorded.
        """
        e = self.drawn(job)
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
        measured = e.measurement
        if measured is not None and self.limits is not None:
            pause_s = self.provenance.conditions["workload"].get("pause_s", 0.0)
            measured = under(measured, self.replies_of(e), self.limits, pause_s)
        return measured and replace(measured.on_device(card), wall_s=e.wall_s, measured_at=e.at)

    def replies_of(self, e: RecordedLaunch) -> Rows | None:
        """Return the rows of replies of an entry; None where they do not show what it measured."""
        if e.replies is None or e.measurement is None:
            return None
        is_whole = are_whole(e.replies, e.measurement, self.provenance.limits)
        return e.replies if is_whole else None

    def sentence(self) -> str:
        """Return the sentence that tells people where the numbers come from."""
        p = self.provenance
        installed = dict(chain.from_iterable(x.items() for x in p.versions.values()))
        versions = ", ".join(f"{k} {installed[k]}" for k in SERVER_PACKAGES if k in installed)
        driver = f", driver {p.device.driver}" if p.device.driver else ""
        cards = len({e.card or p.device.uuid for e in self.entries})
        several = f" ({cards} cards)" if cards > 1 else ""
        days = sorted({e.at[:10] for e in self.entries} or {p.started[:10]})
        when = f"on {days[0]}" if len(days) == 1 else f"from {days[0]} to {days[-1]}"
        return (
            f"measured on {p.device.product} with {p.device.total_mib / 1024:.1f} GiB"
            f"{driver}{several} {when}{f' with {versions}' if versions else ''}"
        )
