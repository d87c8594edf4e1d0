"""A recording is written to a file of JSON lines, and read from it with every line checked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from objectives.allocation import SHARE, SPEECH
from objectives.capacity.ramp_figures import limits_of
from objectives.devices.device import Identity
from objectives.diagnosis.diagnosis import Diagnosis, consequence_of
from objectives.errors import BadInput
from objectives.evaluation import Job, Outcome
from objectives.measurement import Measurement
from objectives.plain_data.atomic import write_atomic
from objectives.plain_data.by_type import ODD_DATA, from_plain, mapping_of
from objectives.plain_data.infinity import plain, with_infinity
from objectives.plain_data.names_of_0_1 import current_names, current_workload
from objectives.plain_data.spellable import spellable
from objectives.recording.kept_replies import check_rows, kept_in
from objectives.recording.replay import RECORDING_FORMAT, Provenance, RecordedLaunch, Recording
from objectives.servers.versions import Versions
from objectives.service_figures import is_amount


def entry(
    job: Job, repeat: int, wall_s: float, outcome: Outcome, card: str | None = None
) -> RecordedLaunch:
    """Return the entry of an evaluation that has just ended."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    failure, measurement = outcome.failure, outcome.measurement
    return RecordedLaunch(
        values=dict(job.allocation.values),
        repeat=repeat,
        seed=job.seed,
        at=at,
        wall_s=round(wall_s, 2),
        measurement=measurement,
        diagnosis=failure.diagnosis if failure else None,
        measured=failure.measured if failure else {},
        card=card,
        replies=kept_in(job.folder) if measurement else None,
    )


def write(path: Path, provenance: Provenance, entries: Sequence[RecordedLaunch]) -> None:
    """Write the whole file, or none of it: a header line, then one line per evaluation."""
    lines: list[dict[str, Any]] = [{"format": RECORDING_FORMAT, **asdict(provenance)}]
    for e in entries:
        measurement = e.measurement.to_json() if e.measurement else None
        rest = plain(replace(e, measurement=None, replies=None))
        lines.append({**rest, "measurement": measurement, "replies": e.replies})
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, "".join(json.dumps(line, sort_keys=True) + "\n" for line in lines))


def read(path: Path) -> Recording:
    """Return the recording in a file.

    Raises:
        BadInput: It cannot be read; the message names the file and the line.
    """
    number = 0
    try:
        lines = _text(path).splitlines() or [""]  # an empty one has no first line to read
        number = 1
        head = dict(mapping_of(json.loads(lines[0])))
        form = head.pop("format")
        if form not in (1, RECORDING_FORMAT):
            raise ValueError(f"not a recording of format 1 or {RECORDING_FORMAT}")
        devices = [head.pop("device")] if form == 1 else head["devices"]
        head["devices"] = tuple(Identity(**device) for device in devices)
        if form == 1:
            head = _without_ladder(head)
        head["versions"] = from_plain(Versions, head["versions"])
        provenance, entries = Provenance(**head), []
        conditions = mapping_of(provenance.conditions)
        if lacking := {"workload", "tenants", "services"} - conditions.keys():
            raise ValueError(f"no {min(lacking)} in its first line")
        limits_of(mapping_of(provenance.limits))  # raises for what is no limit
        _check_moment("started", provenance.started)
        for device in (provenance.device, *provenance.devices[1:]):  # raises where there is none
            _check_amount("total_mib", device.total_mib)
            if not device.total_mib:
                raise ValueError("total_mib is 0, and shares are of it")
        line_numbers: dict[tuple[str, int], int] = {}
        for line in lines[1:]:
            number += 1
            data = dict(mapping_of(json.loads(line)))
            if "\\ud" in line.lower():
                json.dumps(data, ensure_ascii=False).encode()  # raises for half a character
            data["measured"] = with_infinity(current_names(mapping_of(data["measured"])))
            if data["measurement"] is not None:
                data["measurement"] = Measurement.from_json(data["measurement"])
            if data["diagnosis"] is not None:
                data["diagnosis"] = from_plain(Diagnosis, data["diagnosis"])
            last = RecordedLaunch(**data)
            if last.replies is not None:
                check_rows(last.replies)
            entries.append(last)
            _check(last, entries[0])
            if (first := line_numbers.setdefault((last.key, last.repeat), number)) != number:
                twice = f"repeat {last.repeat} of its configuration is line {first} too"
                raise ValueError(twice)
    except (OSError, *ODD_DATA) as error:
        where = f"{path}:{number}" if number else str(path)
        raise BadInput(
            f"{where}: cannot read this recording ({spellable(str(error))}); "
            "make one with `python scripts/record.py SPEC`"
        ) from error
    return Recording(path, provenance, tuple(entries), form)


def _text(path: Path) -> str:
    if path.exists() and not path.is_file():  # a device has no end, and a FIFO waits
        raise BadInput(f"{path}: it is not a plain file; name a recording")
    return path.read_text("utf-8")


def _without_ladder(head: dict[str, Any]) -> dict[str, Any]:
    """Return the first line of a recording of 0.1, without the SLO and the ladder of its study."""
    conditions = dict(mapping_of(head["conditions"]))
    if "workload" in conditions:
        conditions["workload"] = current_workload(conditions["workload"])
    own = {k: v for k, v in head.items() if k not in ("slo", "first_rung")}
    return own | {"conditions": conditions}


def _check(e: RecordedLaunch, first: RecordedLaunch) -> None:
    """Check a line: the parameters of the first one, plain values, a moment, a time, a card if any.

    Raises:
        ValueError, KeyError or TypeError: It has not.
    """
    share, speech = e.values.get(SHARE, 0.0), e.values[SPEECH]  # not every engine has a share
    if isinstance(share, bool) or not isinstance(share, int | float) or not isinstance(speech, str):
        raise TypeError(f"{SHARE} is {share!r} and {SPEECH} {speech!r}")
    if e.values.keys() != first.values.keys():
        raise ValueError(
            f"its parameters are {', '.join(e.values)} "
            f"and the first line's {', '.join(first.values)}"
        )
    if not all(isinstance(v, bool | int | float | str) for v in e.values.values()):
        raise ValueError("a value is neither a number nor a text")
    _check_moment("at", e.at)
    _check_amount("wall_s", e.wall_s)
    Measurement.from_flat(e.measured)  # raises for what is no figure
    if e.measurement is None and e.diagnosis is None:
        raise ValueError("neither a measurement nor a diagnosis")
    if e.diagnosis is not None:
        consequence_of(e.diagnosis.failure_class)  # raises for a class that is not known here
    if not isinstance(e.card, str | None):
        raise TypeError(f"its card is {e.card!r}")


def _check_moment(name: str, value: Any) -> None:
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} is {str(value)[:40]!r}, which is no moment in ISO 8601") from None


def _check_amount(name: str, value: Any) -> None:
    if not is_amount(value):
        raise ValueError(f"{name} is {str(value)[:40]!r}, which is no number from 0")
