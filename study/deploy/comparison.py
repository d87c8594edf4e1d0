"""A promotion's measurements are compared here with this machine and with what its units run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from objectives.allocation import RESIDENT
from objectives.devices.device import Device
from objectives.engines.command import words_of
from objectives.engines.engine import Engine
from objectives.errors import BadInput
from objectives.figures import service_name
from study.deploy.config.deployed import Stack
from study.promotion.status import Status
from study.text import one_line


def compare_device(data: Mapping[str, Any], device: Device | None, path: Path) -> list[str]:
    """Return a sentence where the device could not be compared.

    Raises:
        BadInput: The promotion was measured on another card or driver.
    """
    measured = mapping_at(data, "device")
    if device is None:
        return ["device and driver were not compared: the deployment says `device: none`"]
    here = device.identity
    for what, then, now in (
        ("device", measured.get("uuid"), here.uuid),
        ("driver", measured.get("driver"), here.driver),
    ):
        if then != now:
            measured_on = one_line(str(then))[:60]
            raise BadInput(
                f"{path}: measured on {what} {measured_on}, here is {now}; measure it here"
            )
    return []


def left_alone(data: Mapping[str, Any], not_set: Sequence[str], path: Path) -> list[str]:
    """Return a sentence for each service that is to sleep, or no longer, and nothing here sees to.

    Raises:
        BadInput: The promotion changes another parameter that nothing here sets.
    """
    new, today, notes = mapping_at(data, "parameters"), mapping_at(data, "baseline"), list[str]()
    for name in (n for n in not_set if n in new and n in today and new[n] != today[n]):
        change = f"{one_line(name)[:40]} is {one_line(repr(today[name]))[:40]} today and becomes "
        change += f"{one_line(repr(new[name]))[:40]}"
        if not name.endswith(f".{RESIDENT}"):
            raise BadInput(
                f"{path}: {change}, which `not_set` leaves to nobody; map it, or measure with "
                "today's value alone"
            )
        notes.append(f"{change}: nothing here sees to that; do it by hand")
    return notes


def check_confirmation(data: Mapping[str, Any], device: Device | None, path: Path) -> None:
    """Check that a confirmed promotion was confirmed on this card and driver.

    Raises:
        BadInput: The confirmation itself says otherwise, or was of another card or driver.
    """
    confirmation = mapping_at(data, "confirmation")
    if confirmation.get("verdict") != Status.CONFIRMED:
        raise BadInput(
            f"{path}: its status is confirmed and its confirmation is not; "
            "run scripts/confirm.py again"
        )
    if device is None:
        return
    for what, key, now in (
        ("device", "cards", device.identity.uuid),
        ("driver", "drivers", device.identity.driver),
    ):
        then = confirmation.get(key)
        if isinstance(then, list) and then and now not in then:
            names = one_line(", ".join(map(str, then)))[:80]
            raise BadInput(f"{path}: confirmed on {what} {names}, here is {now}; confirm it here")


def compare_stack(
    data: Mapping[str, Any], engine: Engine, own: Stack, mib: float | None, free_mib: float | None
) -> list[str]:
    """Return a sentence for each difference of a unit's own stack from the measured one.

    Args:
        data: The promotion.
        engine: The engine that was measured.
        own: The unit's stack.
        mib: Memory of the measured server, MiB; None: not measured.
        free_mib: The least memory that was left free beside it, MiB; None: not measured.

    Raises:
        BadInput: The unit needs more memory than the winner leaves.
    """
    notes = []
    name, whose = engine.name, service_name(engine.name)
    words = words_of(str(mapping_at(data, "commands").get(name, "")))
    library = engine.packages[0]
    measured = {
        "library": library if library in mapping_at(mapping_at(data, "versions"), name) else None,
        **{key: _after(words, flag) for key, flag in engine.stack_flags.items()},
    }
    for key, then in measured.items():
        now = getattr(own, key)
        if now is None or then is None:
            silent = "unit" if now is None else "trial"
            notes.append(f"the {whose} stack's {key} was not compared: {silent} does not tell it")
        elif str(now) != str(then):
            notes.append(
                f"the {whose} stack differs: {key} is {now} in production, "
                f"{one_line(str(then))[:40]} was measured"
            )
    if own.peak_mib is None or mib is None or free_mib is None:
        return [
            *notes,
            f"the {whose} unit's peak memory was not compared with what the winner leaves",
        ]
    if own.peak_mib > mib + free_mib:
        raise BadInput(
            f"services.{name}.stack.peak_mib: the unit needs {own.peak_mib:,.0f} MiB, "
            f"the winner leaves {mib + free_mib:,.0f}; "
            f"measure with `services.{name}.extra_mib` set to the difference"
        )
    return notes


def gets_worse(data: Mapping[str, Any]) -> list[str]:
    """Return what its confirmation showed to be worse, a sentence."""
    c = mapping_at(data, "confirmation")
    lists = [own for own in mapping_at(c, "worse").values() if isinstance(own, list)]
    names = dict.fromkeys(str(name) for own in lists for name in own)
    if not names:
        return []
    return [f"it was confirmed although these get worse: {one_line(', '.join(names))}"]


def not_judged(data: Mapping[str, Any]) -> list[str]:
    """Return which of its options may change answers that nobody judged, a sentence."""
    names = mapping_at(data, "gates").get("not_judged")
    if not isinstance(names, list) or not names:
        return []
    return [f"nobody judged the answers that {one_line(', '.join(map(str, names)))} may change"]


def least_free_mib(data: Mapping[str, Any]) -> float | None:
    """Return the least free memory of the study's window and the confirmation's stress, MiB.

    None: it was not measured
    """
    stress = number_at(
        mapping_at(mapping_at(data, "confirmation"), "stress"), "least_free_memory_mib"
    )
    window = number_at(mapping_at(mapping_at(data, "metrics"), "winner"), "free_memory_mib")
    return min((v for v in (stress, window) if v is not None), default=None)


def _after(words: list[str], flag: str) -> str | None:
    return words[words.index(flag) + 1] if flag in words[:-1] else None


def mapping_at(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return the mapping under a key; empty where there is none."""
    value = data.get(key)
    return value if isinstance(value, Mapping) else {}


def number_at(data: Mapping[str, Any], key: str) -> float | None:
    """Return the number under a key; None where there is none, or it is not finite."""
    value: Any = data.get(key)
    return float(value) if type(value) in (int, float) and abs(value) < 1e15 else None  # nor NaN
