"""Cards are put together into sets: a lane has one for each GPU that a trial needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from objectives.devices.device import Identity
from objectives.engines.places import HOST
from objectives.errors import SetupError
from study.spec.model import Spec
from study.spec.services.sets import MIG

Set = tuple[Identity, ...]  # in the order of the spec's names of GPUs


def gpus_of(devices: Mapping[str, str]) -> list[str]:
    """Return the names of the GPUs among a spec's devices that have names."""
    return [name for name, device in devices.items() if device != HOST]


def on_cards(spec: Spec, cards: Sequence[str]) -> Spec:
    """Return the spec on other cards: one for each of its GPUs, in their order.

    Raises:
        SetupError: A service is spread over several, and one of them is a MIG slice.
    """
    several = {p.on for places in spec.places.values() for p in places if len(p.devices) > 1}
    if several and (mig := next((card for card in cards if card.startswith(MIG)), None)):
        raise SetupError(
            f"{mig} is a MIG slice, of which CUDA shows a process one alone, and a service of "
            f"{spec.path.name} is on {min(several)}; measure on whole GPUs"
        )
    if not spec.devices:
        (card,) = cards
        return replace(spec, device=card)
    devices = {**spec.devices, **dict(zip(gpus_of(spec.devices), cards, strict=True))}
    return replace(spec, device=next(iter(devices.values())), devices=devices)


def refuse_unlike(card: Identity, first: Identity, here: str, there: str, way_out: str) -> None:
    """Refuse a card of another product than that of the first lane.

    Args:
        card: The card.
        first: That of the first lane.
        here: What the card is called.
        there: Who has the other one, as in `host-a has`.
        way_out: What may be done.

    Raises:
        SetupError: It is of another.
    """
    if not card.is_like(first.product, first.total_mib):
        raise SetupError(
            f"{here} is a {card.product} of {card.total_mib:,.0f} MiB and "
            f"{there} a {first.product} of {first.total_mib:,.0f}: one study "
            f"compares cards of one product; {way_out}"
        )


def put_together(
    cards: Sequence[Identity],
    own: Set,
    count: int,
    near: Callable[[str], int | None] = lambda _: None,
) -> tuple[list[Set], list[Identity]]:
    """Return the sets, and the cards that make none. Pure.

    Where the spec's own cards are among them, they are the first set, and those of each other set
    are of the same products, name by name. Else all are of the product that most cards are of.
    A set takes the first cards that are left, those of its first card's NUMA node before others.

    Args:
        cards: The cards, in an order that does not depend on how they were named.
        own: The cards that the spec itself names; none where they are not all among them.
        count: How many make a set.
        near: It tells the NUMA node of a card by its UUID; None where that is unknown.
    """
    left, sets = [card for card in cards if card not in own], [own] if own else []
    kinds = own or (max(cards, key=lambda card: sum(_are_alike(card, c) for c in cards)),) * count
    while (chosen := _chosen(left, kinds, near)) is not None:
        sets.append(chosen)
        left = [card for card in left if card not in chosen]
    return sets, left


def _chosen(left: Sequence[Identity], kinds: Set, near: Callable[[str], int | None]) -> Set | None:
    """Return a card of each kind; None where there are not enough."""
    chosen = list[Identity]()
    for kind in kinds:
        able = [card for card in left if card not in chosen and _are_alike(kind, card)]
        if not able:
            return None
        beside = near(chosen[0].uuid) if chosen else None
        chosen.append(next((c for c in able if chosen and near(c.uuid) == beside), able[0]))
    return tuple(chosen)


def _are_alike(card: Identity, other: Identity) -> bool:
    return card.is_like(other.product, other.total_mib)
