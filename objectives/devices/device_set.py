"""A device set holds the devices that the servers share, each under its name. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from objectives.devices.device import Device

DeviceSet = Mapping[str, Device]  # by UUID, the name under which a measurement has their memory


def device_set(*devices: Device) -> DeviceSet:
    """Return devices by name."""
    return {device.identity.uuid: device for device in devices}


def place_of(name: str, devices: DeviceSet) -> str:  # noqa: ARG001
    """Return the name of the device that a service or tenant is on: the one that a spec names."""
    (place,) = devices
    return place
