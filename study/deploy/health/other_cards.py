"""A promotion may name cards beside the LLM's: each of them is compared, locked and waited for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from objectives.devices.device import Device
from objectives.devices.open_device import open_device
from objectives.errors import BadInput, SetupError
from study.text import one_line


@dataclass(frozen=True, slots=True)
class OtherCard:
    """Another card holds services of a promotion, but not the LLM's.

    Args:
        name: Its name in the promotion.
        device: The card.
        needed_mib: What its services had taken when they were measured, MiB; None: not known.
    """

    name: str
    device: Device
    needed_mib: float | None


def other_cards(
    measured_on: Mapping[str, Any],
    places: Mapping[str, Any],
    memory_mib: Mapping[str, float | None],
    path: Path,
) -> tuple[OtherCard, ...]:
    """Return the other cards on which a promotion has services.

    Args:
        measured_on: The devices beside the LLM's that it was measured on, by name.
        places: The name of each service's device.
        memory_mib: What each service of the deployment had taken, MiB; None: not known.
        path: The promotion's file.

    Raises:
        BadInput: One is not in this machine, or has another driver.
    """
    cards = list[OtherCard]()
    for name, told in measured_on.items():
        measured = told if isinstance(told, Mapping) else {}
        sizes = [mib for service, mib in memory_mib.items() if places.get(service) == name]
        if not sizes or measured.get("cuda") is None:  # nothing is there, or it is the host
            continue
        shown, uuid = one_line(str(name))[:20], one_line(str(measured.get("uuid")))[:60]
        try:
            device = open_device(uuid)
        except SetupError as error:
            raise BadInput(
                f"{path}: measured with {shown} {uuid}, which is not here ({error}); measure it "
                "here"
            ) from error
        then, now = measured.get("driver"), device.identity.driver
        if then != now:
            was = one_line(str(then))[:60]
            raise BadInput(f"{path}: measured on driver {was}, here is {now}; measure it here")
        known = [mib for mib in sizes if mib is not None]
        cards.append(OtherCard(shown, device, sum(known) if len(known) == len(sizes) else None))
    return tuple(cards)


def where_notes(places: Mapping[str, Any], services: Iterable[str]) -> list[str]:
    """Return in a sentence that nobody checks where units run; none where there is one device."""
    if not places:
        return []
    where = [f"{s} on {one_line(str(places[s]))[:20]}" for s in services if s in places]
    return [f"each unit says on which device it runs, which was not checked: {', '.join(where)}"]
