"""Cards of this machine are named on the command line, each for a lane."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from objectives.devices.cores import numa_nodes
from objectives.devices.device_set import device_set
from objectives.devices.nvidia_gpu import every_gpu, numa_node
from objectives.devices.open_device import open_device
from objectives.errors import BadInput, SetupError
from objectives.servers.versions import misfits
from study.bench.bench import Bench
from study.lanes.cores import split
from study.lanes.lane import short_name
from study.spec.model import Spec

ALL = "all"


def named(devices: str, spec: Spec) -> list[str]:
    """Return the names of the cards that `--devices` asks for.

    Args:
        devices: `all`, or indices and UUIDs with commas between them.
        spec: The spec.

    Raises:
        BadInput: They are no cards, or the spec needs other devices.
        SetupError: There is no GPU here.
    """
    if spec.devices:
        raise BadInput(
            f"--devices gives each trial one GPU, and {spec.path.name} needs all its `devices:` "
            "for one trial; leave --devices out"
        )
    if spec.device == "cpu":
        raise BadInput(
            "--devices names GPUs, and the spec says `device: cpu`; leave --devices out, "
            "or write `device: cuda`"
        )
    if devices.strip() == ALL:
        return every_gpu()
    names = [name.strip() for name in devices.split(",")]
    odd = [n for n in names if not n.isdigit() and not n.startswith(("GPU-", "MIG-"))]
    if odd:
        raise BadInput(
            f"--devices: {odd[0]!r} is no card; write all, or indices or UUIDs with commas: 0,1"
        )
    return names


def benches(first: Bench, names: Sequence[str]) -> list[Bench]:
    """Return a bench for each card; all are of one product.

    Args:
        first: The bench of the first of them.
        names: Their names, the first one's too.

    Raises:
        BadInput: A card is named twice.
        SetupError: One is missing, or they cannot be compared.
    """
    devices = [first.device, *(open_device(name) for name in names[1:])]
    uuids = [device.identity.uuid for device in devices]
    for name, uuid in zip(names, uuids, strict=True):
        if uuids.count(uuid) > 1:
            raise BadInput(f"--devices names {short_name(uuid)} twice, once as {name!r}")
    own = first.device.identity
    for device in devices[1:]:
        card = device.identity
        if not card.is_like(own.product, own.total_mib):
            raise SetupError(
                f"{short_name(card.uuid)} is a {card.product} of {card.total_mib:,.0f} MiB and "
                f"{short_name(own.uuid)} a {own.product} of {own.total_mib:,.0f}: one study "
                "compares cards of one product; name those with --devices"
            )
        if sentences := misfits(device, first.setting.services, first.versions):
            raise SetupError("; ".join(sentences))
    return [
        first,
        *(replace(first, devices=device_set(d), occupants=d.occupants()) for d in devices[1:]),
    ]


@contextmanager
def cores_apart(machines: Sequence[Bench]) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Yield the cores of each card's lane, and keep this process off them while the block lasts.

    Raises:
        SetupError: There are fewer cores than cards.
    """
    before = os.sched_getaffinity(0)
    near = [numa_node(machine.device.identity.uuid) for machine in machines]
    driver, lanes = split(before, numa_nodes(), near)
    os.sched_setaffinity(0, driver)
    try:
        yield lanes
    finally:
        os.sched_setaffinity(0, before)
