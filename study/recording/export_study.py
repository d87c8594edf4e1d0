"""This module collects what live studies and other recordings have measured into one recording.

Only what was measured under the same conditions counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any

import optuna

from objectives.capacity.ramp_range import RampRange
from objectives.devices.device import Identity
from objectives.diagnosis.log import FailurePhase
from objectives.errors import BadInput
from objectives.plain_data.names_of_0_1 import current_conditions
from objectives.recording import Provenance, RecordedLaunch, Recording, read
from objectives.recording.kept_replies import Rows
from study.search.ask import drivers_of
from study.storage.attributes import IDENTITY, attribute
from study.storage.comparability import LIFETIME, differing_names, identity_of
from study.storage.find import storage_url
from study.storage.replies import replies_of
from study.storage.trial import State, Trial
from study.storage.trials import rows
from study.storage.url import open_storage

# What must be equal for two launches to be comparable, beside versions and the card.
CONDITIONS = ("workload", "services", "tenants", "load generator")


def provenance_of(source: Path) -> Provenance:
    """Return where a recording or the live studies of a database come from.

    Raises:
        BadInput: The source is neither, or its live studies have measured nothing.
    """
    if source.suffix == ".jsonl":
        return read(source).provenance
    own = [
        (study, identity)
        for study in _studies(source)
        if (identity := attribute(study, IDENTITY, dict)).get("measure") == "live"
    ]
    if not own:
        raise BadInput(f"--take {source} holds no live study")
    began = [p for own_study in own if (p := _provenance_of(*own_study)).devices]
    if not began:
        raise BadInput(f"--take {source}: its live studies have measured nothing yet; leave it out")
    return began[0].with_devices(*began[1:])


def _provenance_of(study: optuna.Study, identity: Mapping[str, Any]) -> Provenance:
    identity = current_conditions(identity)
    begun = [t.datetime_start for t in study.get_trials(deepcopy=False) if t.datetime_start]
    return Provenance(
        devices=tuple(_devices(study, identity)),
        versions=identity["server versions"],
        conditions={name: identity[name] for name in CONDITIONS if name in identity},
        started=min(begun).astimezone(UTC).isoformat(timespec="seconds") if begun else "",
        limits=identity.get("limits") or {},
    )


def _devices(study: optuna.Study, identity: Mapping[str, Any]) -> Iterable[Identity]:
    """Yield the cards that measured a study; CUDA's version is not among what it keeps."""
    for uuid, driver in drivers_of(study).items():
        yield Identity(
            identity["device product"], uuid, float(identity["device total MiB"]), driver, None
        )


def gather(
    sources: Iterable[Path],
    spec_conditions: Mapping[str, Any],
    provenance: Provenance,
    held: Sequence[RecordedLaunch],
) -> list[RecordedLaunch]:
    """Return `held` and, behind it, every evaluation of the sources that it does not hold yet.

    Repeats are counted on.

    Args:
        sources: Recordings (`.jsonl`) and databases of live studies (`study.db`); only what was
            really launched is taken.
        spec_conditions: What of the spec must be equal in a live study (`conditions_of`).
        provenance: Where the recording comes from.
        held: The evaluations that it holds already.

    Raises:
        BadInput: A source is neither, or was measured under other conditions.
    """
    entries, keys = list(held), {(e.key, e.at, e.card) for e in held}
    for source in sources:
        candidates = (
            _of_recording(source, provenance)
            if source.suffix == ".jsonl"
            else _of_studies(source, spec_conditions, provenance)
        )
        for e in candidates:
            if (e.key, e.at, e.card) not in keys:
                keys.add((e.key, e.at, e.card))
                entries.append(
                    replace(
                        e, repeat=1 + max((x.repeat for x in entries if x.key == e.key), default=0)
                    )
                )
    return entries


def _of_recording(source: Path, provenance: Provenance) -> list[RecordedLaunch]:
    recording = read(source)
    refuse_other_conditions(recording, provenance)
    return [replace(e, card=e.card or recording.provenance.device.uuid) for e in recording.entries]


def _of_studies(
    source: Path, spec_conditions: Mapping[str, Any], provenance: Provenance
) -> list[RecordedLaunch]:
    entries = []
    own_identity = identity_of(
        spec_conditions, provenance.device, provenance.versions, is_live=True
    )
    own_identity["load generator"] = provenance.conditions.get("load generator", 1)
    for study in _studies(source):
        identity = attribute(study, IDENTITY, dict)
        differing = differing_names(identity, own_identity)
        if differing := [name for name in differing if name != LIFETIME]:  # either is a launch
            raise BadInput(
                f"study {study.study_name} in {source} was measured under other conditions: "
                f"{', '.join(differing)}; leave that --take out"
            )
        carried = {
            t.number for t in study.get_trials(deepcopy=False) if "carried_from" in t.user_attrs
        }
        own = [r for r in rows(study) if _is_launched(r) and r.number not in carried]
        replies, device = replies_of(study, own, source.parent), study.user_attrs.get("device")
        entries += [_entry(r, device, replies.get(r.number)) for r in own]
    return entries


def _studies(source: Path) -> list[optuna.Study]:
    if not source.is_file():
        raise BadInput(
            f"--take {source} is no file; name a recording (.jsonl) or the study.db of a live study"
        )
    storage = open_storage(storage_url(str(source)))
    names = optuna.get_all_study_names(storage)
    return [optuna.load_study(study_name=name, storage=storage) for name in names]


def _is_launched(r: Trial) -> bool:
    """Say whether servers were launched for this trial.

    Its end must say something about the allocation, too.
    """
    return (
        r.is_known
        and r.state is not State.DOMINATED  # a recording holds whole measurements only
        and r.repeat_of is None
        and (r.diagnosis is None or r.diagnosis.phase is not FailurePhase.PRECHECK)
    )


def _entry(r: Trial, device: Mapping[str, str] | None, replies: Rows | None) -> RecordedLaunch:
    return RecordedLaunch(
        values=dict(r.allocation.values),
        repeat=0,  # counted by the one who takes it
        seed=r.seed or 0,
        at=r.at or "",
        wall_s=r.wall_s,
        measurement=r.measurement,
        diagnosis=r.diagnosis if r.measurement is None else None,
        measured={} if r.measurement else dict(r.measured),
        card=r.launched_on or (device["uuid"] if device else None),
        replies=replies,
    )


def with_ramp_range(provenance: Provenance, entries: Iterable[RecordedLaunch]) -> Provenance:
    """Return a provenance with the range of the first ramp where it has none."""
    if provenance.ramp_range is not None:
        return provenance
    return replace(provenance, ramp_range=first_ramp_range(entries))


def first_ramp_range(entries: Iterable[RecordedLaunch]) -> dict[str, float] | None:
    """Return the range of the first ramp that showed a capacity; None where none did."""
    for e in entries:
        if e.measurement and e.measurement.ramp and e.measurement.capacity_turns_per_s:
            return RampRange.from_json(e.measurement.ramp).to_json()
    return None


def refuse_other_conditions(earlier: Recording, now: Provenance) -> None:
    """Refuse to mix what cannot be compared.

    That is another workload, services, tenants, versions or product.

    Raises:
        BadInput: They differ; the error names the recording and what differs.
    """
    then = earlier.provenance
    for name in CONDITIONS:
        if differing_names(_only(name, then), _only(name, now)):
            raise BadInput(
                f"{earlier.path} was recorded under other conditions: {name}; "
                "name another --out, or move it away"
            )
    if then.versions != now.versions:
        raise BadInput(
            f"{earlier.path} was recorded with other versions of the servers; name another --out"
        )
    if not now.device.is_like(then.device.product, then.device.total_mib):
        raise BadInput(
            f"{earlier.path} was recorded on {then.device.product} "
            f"with {then.device.total_mib:,.0f} MiB, this is {now.device.product} "
            f"with {now.device.total_mib:,.0f} MiB; name another --out"
        )


def _only(name: str, provenance: Provenance) -> dict[str, Any]:
    return {k: v for k, v in provenance.conditions.items() if k == name}
