"""A device set holds the devices that the servers share, each under its name: the LLM's first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from objectives.devices.device import VISIBLE, Device, Identity
from objectives.plain_data.card_sets import set_name

DeviceSet = Mapping[str, Device]  # by the name that a spec gives them, else by UUID


@dataclass(frozen=True, slots=True)
class Room:
    """The room of a device is what its others leave.

    Args:
        identity: The device.
        held_mib: What others hold of it, MiB.
    """

    identity: Identity
    held_mib: float


def device_set(*devices: Device) -> DeviceSet:
    """Return devices by their UUID, where no spec names them."""
    return {device.identity.uuid: device for device in devices}


def first_name(devices: DeviceSet) -> str:
    """Return the name of the device that the LLM is on, and whatever names no place."""
    return next(iter(devices))


def first_of(devices: DeviceSet) -> Device:
    """Return that device."""
    return devices[first_name(devices)]


def as_one(devices: DeviceSet) -> Identity:
    """Return the first device's identity with the UUIDs of all, as `Measurement.measured_on` is."""
    uuids = set_name(device.identity.uuid for device in devices.values())
    return replace(first_of(devices).identity, uuid=uuids)


def label(name: str, devices: DeviceSet) -> str:
    """Return the name of a device as its owner gave it; empty where it has only its UUID."""
    return "" if name == devices[name].identity.uuid else name


def env_of(devices: Sequence[Device]) -> Mapping[str, str]:
    """Return the environment that makes a server use these devices, in their order, and no other.

    GPUs are told by their numbers: vLLM up to 0.20 takes no UUID there.
    """
    first, *others = (device.server_env for device in devices)
    if not others:
        return first
    names = [env.get(VISIBLE, "") for env in (first, *others)]
    return {**first, VISIBLE: ",".join(names)}
