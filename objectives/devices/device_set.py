"""A device set holds the devices that the servers share, each under its name: the LLM's first."""

from __future__ import annotations

from collections.abc import Mapping

from objectives.devices.device import Device

DeviceSet = Mapping[str, Device]  # by the name that a spec gives them, else by UUID


def device_set(*devices: Device) -> DeviceSet:
    """Return devices by their UUID, where no spec names them."""
    return {device.identity.uuid: device for device in devices}


def first_name(devices: DeviceSet) -> str:
    """Return the name of the device that the LLM is on, and whatever names no place."""
    return next(iter(devices))


def first_of(devices: DeviceSet) -> Device:
    """Return that device."""
    return devices[first_name(devices)]


def label(name: str, devices: DeviceSet) -> str:
    """Return the name of a device as its owner gave it; empty where it has only its UUID."""
    return "" if name == devices[name].identity.uuid else name
