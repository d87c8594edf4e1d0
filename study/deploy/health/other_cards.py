"""A promotion may name cards beside the first: each is compared, locked and waited for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from objectives.devices.device import Device
from objectives.devices.open_device import open_device
from objectives.errors import BadInput, SetupError
from study.text import one_line


@dataclass(frozen=True, slots=True)
class OtherCard:
    """Another card holds services of a promotion beside the LLM's first card.

    Args:
        name: Its name in the promotion.
        device: The card.
        needed_mib: What its services had taken when they were measured, and the LLM's share where
            that is spread over it, MiB; None: not known.
    """

    name: str
    device: Device
    needed_mib: float | None


def other_cards(
    measured_on: Mapping[str, Any],
    taken_mib: Mapping[str, Sequence[float | None]],
    shares: Mapping[str, float | None],
    path: Path,
) -> tuple[OtherCard, ...]:
    """Return the other cards on which a promotion has services.

    Args:
        measured_on: The devices beside the LLM's first that it was measured on, by name.
        taken_mib: What services had taken of each device, MiB; None: not known.
        shares: The share of each device that the LLM gets; None: not known.
        path: The promotion's file.

    Raises:
        BadInput: One is not in this machine, or has another driver.
    """
    cards = list[OtherCard]()
    for name, record in measured_on.items():
        measured = record if isinstance(record, Mapping) else {}
        sizes = taken_mib.get(name, ())
        is_used = sizes or name in shares
        if not is_used or measured.get("cuda") is None:  # or it is the host
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
        if name in shares:
            share = shares[name]
            total_mib = device.identity.total_mib
            sizes = [*sizes, None if share is None else share * total_mib]
        known = [mib for mib in sizes if mib is not None]
        cards.append(OtherCard(shown, device, sum(known) if len(known) == len(sizes) else None))
    return tuple(cards)


def where_notes(places: Mapping[str, Any], services: Iterable[str]) -> list[str]:
    """Return in a sentence that nobody checks where units run; none where there is one device."""
    if not places:
        return []
    where = [f"{s} on {one_line(str(places[s]))[:60]}" for s in services if s in places]
    return [f"each unit says on which device it runs, which was not checked: {', '.join(where)}"]
