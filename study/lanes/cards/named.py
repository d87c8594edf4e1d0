"""Cards of this machine are named on the command line; each lane has one, or a set of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from objectives.devices.cores import numa_nodes
from objectives.devices.device_set import DeviceSet, first_of
from objectives.devices.nvidia_gpu import every_gpu, numa_node
from objectives.engines.places import HOST
from objectives.errors import BadInput, SetupError
from objectives.plain_data.card_sets import cards_of
from study.bench.bench import Bench, opened, refuse_unfit
from study.lanes.card_names import short_name
from study.lanes.cards.cores import near_of, split
from study.lanes.cards.sets import Set, gpus_of, on_cards, put_together, refuse_unlike
from study.spec.model import Spec
from study.spec.services.devices import CARD

ALL = "all"


def specs_on(devices: str | None, spec: Spec, say: Callable[[str], None]) -> list[Spec]:
    """Return the spec on the cards of each lane; the spec alone where no cards are named.

    Args:
        devices: `all`, or indices and UUIDs with commas between them; None for the spec's own.
        spec: The spec.
        say: It is given a line for each set of cards, and for each card that makes none.

    Raises:
        BadInput: They are no cards, a card is named twice, or the spec is for the CPU.
        SetupError: One is missing, or they make no set.
    """
    if devices is None:
        return [spec]
    gpus = {name: spec.devices[name] for name in gpus_of(spec.devices)}
    if spec.device == HOST and not gpus:
        raise BadInput(
            "--devices names GPUs, and the spec says `device: cpu`; leave --devices out, "
            "or write `device: cuda`"
        )
    names = _named(devices)
    sets: list[tuple[str, ...]] = [(name,) for name in names]
    if len(gpus) > 1:
        cards_of_lanes = _sets(names, gpus, spec.path.name, say)
        sets = [tuple(card.uuid for card in cards) for cards in cards_of_lanes]
    if len(sets) > 1 and HOST in spec.devices:
        raise BadInput(
            f"the host's own memory is one device, and {spec.path.name} needs it for each trial; "
            f"name the {len(gpus)} GPUs of one trial with --devices, or leave it out"
        )
    return [on_cards(spec, cards) for cards in sets]


def _named(devices: str) -> list[str]:
    """Return the names of the cards.

    Raises:
        BadInput: They are no cards.
        SetupError: There is no GPU here.
    """
    if devices.strip() == ALL:
        return every_gpu()
    names = [name.strip() for name in devices.split(",")]
    odd = [n for n in names if not CARD.fullmatch(n)]
    if odd:
        raise BadInput(
            f"--devices: {odd[0][:60]!r} is no card; "
            "write all, or indices or UUIDs with commas: 0,1"
        )
    return names


def _sets(
    names: Sequence[str], gpus: Mapping[str, str], spec_name: str, say: Callable[[str], None]
) -> list[Set]:
    """Put cards together, and say how.

    Args:
        names: The cards as they were named.
        gpus: The GPUs of the spec by name.
        spec_name: The name of the spec's file.
        say: It is given a line for each set of cards, and for each card that makes none.

    Raises:
        BadInput: A card is named twice.
        SetupError: One is missing, or they make no set.
    """
    bus = every_gpu()
    cards = [first_of(opened(name, {})).identity for name in names]
    _refuse_twice(names, [card.uuid for card in cards])
    cards.sort(key=lambda c: (bus.index(c.uuid) if c.uuid in bus else len(bus), c.uuid))
    own: Set = ()
    with suppress(SetupError):  # the spec may be from another machine
        own = tuple(device.identity for device in opened("", gpus).values())
    own = own if all(card in cards for card in own) else ()
    sets, left = put_together(cards, own, len(gpus), numa_node)
    what = f"{len(gpus)} GPUs ({', '.join(gpus)})"
    if not sets:
        there = ", ".join(f"{short_name(card.uuid)} ({card.product})" for card in cards)
        raise SetupError(
            f"each trial of {spec_name} needs {what} of one product, and --devices names "
            f"{there}; name more with --devices, or leave it out"
        )
    say(f"each trial has {what}; {len(sets)} lane{'s' * (len(sets) != 1)}:")
    for cards_of_lane in sets:
        on = zip(gpus, cards_of_lane, strict=True)
        say("  " + ", ".join(f"{name} {card.uuid}" for name, card in on))
    for card in left:
        say(f"  left idle: {card.uuid} ({card.product}), with which no further set is made")
    return sets


def benches(first: Bench, specs: Sequence[Spec]) -> list[Bench]:
    """Return a bench for each lane; all have cards of the same products.

    Args:
        first: The bench of the first of them.
        specs: The spec on the cards of each, the first one's too.

    Raises:
        BadInput: A card is named twice.
        SetupError: One is missing, or they cannot be compared.
    """
    sets = [first.devices, *(opened(spec.device, spec.devices) for spec in specs[1:])]
    uuids = [device.identity.uuid for devices in sets for device in devices.values()]
    named = [device for spec in specs for device in spec.devices.values() or (spec.device,)]
    _refuse_twice(named, uuids)
    for devices, spec in zip(sets[1:], specs[1:], strict=True):
        _refuse_unlike(first.devices, devices)
        refuse_unfit(devices, first.setting, spec.places, first.versions)
    return [
        first,
        *(replace(first, devices=s, occupants=first_of(s).occupants()) for s in sets[1:]),
    ]


def _refuse_twice(names: Sequence[str], uuids: Sequence[str]) -> None:
    """Refuse a card that is named twice.

    Raises:
        BadInput: There is one.
    """
    for name, uuid in zip(names, uuids, strict=True):
        if uuids.count(uuid) > 1:
            raise BadInput(f"--devices names {short_name(uuid)} twice, once as {name!r}")


def _refuse_unlike(first: DeviceSet, other: DeviceSet) -> None:
    """Refuse cards of another product than those of the first lane, name by name.

    Raises:
        SetupError: There is one.
    """
    for ours, theirs in zip(first.values(), other.values(), strict=True):
        own, card = ours.identity, theirs.identity
        names = short_name(card.uuid), short_name(own.uuid)
        refuse_unlike(card, own, *names, "name those with --devices")


@contextmanager
def cores_apart(machines: Sequence[Bench]) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Yield the cores of each lane, and keep this process off them while the block lasts.

    Raises:
        SetupError: There are fewer cores than lanes.
    """
    before = os.sched_getaffinity(0)
    near = [near_of(map(numa_node, cards_of(machine.identity.uuid))) for machine in machines]
    driver, lanes = split(before, numa_nodes(), near)
    os.sched_setaffinity(0, driver)
    try:
        yield lanes
    finally:
        os.sched_setaffinity(0, before)
