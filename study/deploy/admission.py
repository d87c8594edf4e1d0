"""A promotion may be applied here if it is sealed, confirmed, in date and of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from objectives.allocation import SHARE
from objectives.devices.device import Device
from objectives.devices.open_device import open_device
from objectives.engines.places import Place
from objectives.errors import BadInput
from objectives.figures import flat_name
from objectives.plain_data.names_of_0_1 import current_names
from study.deploy.comparison import (
    check_confirmation,
    compare_device,
    compare_stack,
    gets_worse,
    least_free_mib,
    left_alone,
    mapping_at,
    not_judged,
    number_at,
)
from study.deploy.config.deployment import Deployment
from study.deploy.config.values import Assignment, assignments
from study.deploy.health.other_cards import OtherCard, other_cards, where_notes
from study.deploy.health.server_versions import check_versions
from study.deploy.health.sleepers import compare_sleepers
from study.deploy.state.version import Version
from study.promotion.schema import check_schema
from study.promotion.seal import moment, verify
from study.promotion.signature import check_signed
from study.promotion.status import Status, status_of
from study.promotion.trust import check_trusted
from study.text import one_line


@dataclass(frozen=True, slots=True)
class Admitted:
    """An admitted promotion may be applied; it carries what its gates need.

    Args:
        path: The promotion's file.
        sha256: Its seal.
        status: `confirmed`, or `candidate` where the user insists.
        assigned: The text that each flag or variable gets.
        written_at: When it was last measured for its confirmation, else written.
        kv_tokens: Tokens in the KV cache of each of the trial's servers that told them.
        share: The LLM's share of the device memory, 0 to 1.
        memory_mib: Memory of each server that takes what it needs, MiB, where it was measured.
        others: The cards beside the LLM's first that its services are on, where the deployment has
            a device.
        notes: What a person should know before it is applied, a sentence each.
    """

    path: Path
    sha256: str
    status: Status
    assigned: tuple[Assignment, ...]
    written_at: datetime
    kv_tokens: Mapping[str, int]
    share: float | None
    memory_mib: Mapping[str, float]
    others: tuple[OtherCard, ...]
    notes: tuple[str, ...]


def refuse_at_once(path: Path) -> dict[str, Any]:
    """Return a promotion's data, or refuse what no machine and no option can ever apply.

    Raises:
        BadInput: It may never be applied.
    """
    data = verify(path)
    check_schema(data, path)
    status = status_of(data)
    if status is Status.REPLAY or data.get("measured_elsewhere"):
        raise BadInput(
            f"{path}: it was replayed from measurements of elsewhere, and says nothing about this "
            "machine; measure this one: `python scripts/run_study.py my_gpu.yaml`"
        )
    if status in (Status.REJECTED, Status.INCONCLUSIVE):
        raise BadInput(
            f"{path}: its confirmation ended {status}; nothing overrides that; measure it anew"
        )
    return data


def admit(
    path: Path, deployment: Deployment, device: Device | None, *, i_know: bool = False
) -> Admitted:
    """Check a promotion against this machine and its deployment.

    Args:
        i_know: Admits an unconfirmed one, and nothing else.

    Raises:
        BadInput: It may not be applied here; the message has what is wrong and the way out.
    """
    data = refuse_at_once(path)
    status = status_of(data)
    if status is not Status.CONFIRMED and not (i_know and status is Status.CANDIDATE):
        stated = one_line(str(data.get("status")))[:40]
        raise BadInput(
            f"{path}: it is not confirmed (status: {stated}); "
            f"run `python scripts/confirm.py {path}`, "
            "or add --i-know to apply a candidate all the same"
        )
    if status is Status.CONFIRMED:
        check_confirmation(data, device, path)
    parameters = data.get("parameters")
    if not isinstance(parameters, Mapping) or not all(isinstance(n, str) for n in parameters):
        raise BadInput(f"{path}: it has no parameters; take the file as the study wrote it")
    assigned = assignments(parameters, deployment)
    at = _date(data, path)
    age = (datetime.now(UTC) - at).total_seconds() / 86400.0
    if age > deployment.max_age_days:
        raise BadInput(
            f"{path}: it is {age:.0f} days old, max_age_days is {deployment.max_age_days:g}; "
            "confirm it anew"
        )
    if age < -1.0:
        raise BadInput(
            f"{path}: it was written in the future ({at:%Y-%m-%d}); "
            "set this machine's clock, or confirm anew"
        )
    notes = compare_device(data, device, path)
    on_demand, commands = mapping_at(data, "on_demand"), mapping_at(data, "commands")
    notes += (
        *left_alone(data, deployment.unmapped(), path),
        *compare_sleepers(on_demand, parameters, commands, deployment.services, path),
        *check_versions(mapping_at(data, "versions"), deployment, path),
    )
    figures = current_names(mapping_at(mapping_at(data, "metrics"), "winner"))
    places = mapping_at(data, "places")
    if not all(isinstance(place, str) for place in places.values()):
        raise BadInput(f"{path}: its places are no names; take the file as the study wrote it")
    named = {device for place in places.values() for device in Place.of(place).devices}
    if len(unknown := named - mapping_at(data, "other_devices").keys()) > 1:  # one is the first
        which = one_line(" or ".join(sorted(unknown)))[:60]
        raise BadInput(f"{path}: it does not say which card {which} is; measure it anew")
    on = {e.name: Place.of(str(places.get(e.name, ""))).devices for e in deployment.engines()}
    shared = {device for e in deployment.engines() if e.has_share for device in on[e.name]}
    first = {on[e.name][0] for e in deployment.engines() if e.has_share}
    share = number_at(parameters, SHARE)
    kv_tokens: dict[str, int] = {}
    memory_mib: dict[str, float] = {}
    taken_mib: dict[str, list[float | None]] = {}
    for engine in deployment.engines():
        name = engine.name
        if engine.has_kv_cache and (tokens := number_at(figures, flat_name(name, "kv_tokens"))):
            kv_tokens[name] = int(tokens)
        mib = number_at(figures, flat_name(name, "memory_mib"))
        if not engine.has_share and mib is not None and first.issuperset(on[name]):
            memory_mib[name] = mib
        for place in () if engine.has_share else on[name]:
            taken_mib.setdefault(place, []).append(mib)
        if engine.stack_flags:
            stack = deployment.services[name].stack
            notes += compare_stack(data, engine, stack, mib, least_free_mib(data))
    measured_on = mapping_at(data, "other_devices") if device is not None else {}
    others = other_cards(measured_on, taken_mib, dict.fromkeys(shared, share), path)
    notes += where_notes(places, deployment.services)
    notes += (*gets_worse(data), *not_judged(data))
    return Admitted(
        path=path,
        sha256=str(data["sha256"]),
        status=status,
        assigned=assigned,
        written_at=at,
        kv_tokens=kv_tokens,
        share=share,
        memory_mib=memory_mib,
        others=others,
        notes=tuple(notes),
    )


def check_source(path: Path, deployment: Deployment) -> None:
    """Check that nobody else could have written a promotion, and who signed it where that counts.

    Raises:
        BadInput: Somebody could, or nobody whom the deployment names has signed it as it is.
        SetupError: A signature cannot be checked here.
    """
    check_trusted(path)
    if deployment.signers is not None:
        check_signed(path, Path(deployment.signers))


def check_newer(admitted: Admitted, current: Version | None, *, older: bool = False) -> None:
    """Check that a promotion is not older than the one in force.

    Args:
        older: It may be.

    Raises:
        BadInput: It is: whoever has an old file could undo what was measured since.
    """
    at = None if current is None else moment(current.promotion_at)
    if current and at and not older and admitted.written_at < at:
        raise BadInput(
            f"{admitted.path}: it was measured on {admitted.written_at:%Y-%m-%d %H:%M}, before "
            f"version {current.number}, which is in force ({at:%Y-%m-%d %H:%M}); add --older "
            "to apply it all the same"
        )


def check_digest(admitted: Admitted, sha256: str | None) -> None:
    """Check that a promotion is the one that a person has looked at; None: any.

    Raises:
        BadInput: Its content is another.
    """
    if sha256 is not None and sha256.lower() != admitted.sha256:
        raise BadInput(
            f"{admitted.path}: its content has sha256 {admitted.sha256}, asked for was "
            f"{one_line(sha256)[:64]}; look at it again: `promote.py plan {admitted.path}`"
        )


def device_of(deployment: Deployment) -> Device | None:
    """Open the device of the deployment; None where it says `none`."""
    return None if deployment.device == "none" else open_device(deployment.device)


def _date(data: Mapping[str, Any], path: Path) -> datetime:
    """Return when it was last measured for its confirmation, else written."""
    confirmed = mapping_at(data, "confirmation")
    stamp = confirmed.get("last_pair_at") or confirmed.get("written_at") or data.get("written_at")
    if (at := moment(stamp)) is None:
        raise BadInput(
            f"{path}: it does not say when it was written; take the file as the study wrote it"
        )
    return at
