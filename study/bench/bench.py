"""This module gets the instrument ready: device, servers of this machine, and their versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from objectives.devices.device import Device, Identity, Occupant
from objectives.devices.device_set import DeviceSet, as_one, device_set, first_name, first_of
from objectives.devices.open_device import open_device
from objectives.engines.places import Place
from objectives.errors import SetupError
from objectives.servers.versions import Versions, misfits, resolved, unable, versions
from objectives.setting import Setting
from study.fit.device_sets import undivided, uneven
from study.spec.model import Spec


@dataclass(frozen=True, slots=True)
class Bench:
    """A bench is everything that stands ready before the first live trial.

    Args:
        devices: The devices to measure on, by name or UUID, the LLM's first.
        setting: What is measured, with models as they lie on this machine.
        versions: The versions of the servers.
        occupants: Who held memory when it was looked at.
        notes: What a person must know of the devices, a sentence each.
    """

    devices: DeviceSet
    setting: Setting
    versions: Versions
    occupants: Sequence[Occupant]
    notes: Sequence[str] = ()

    @property
    def device(self) -> Device:
        """Return the device of the LLM."""
        return first_of(self.devices)

    @property
    def identity(self) -> Identity:
        """Return all devices as one."""
        return as_one(self.devices)

    def occupants_of(self, name: str) -> Sequence[Occupant]:
        """Return who holds memory of a device; of the LLM's first it was looked at already."""
        is_first = name == first_name(self.devices)
        return self.occupants if is_first else self.devices[name].occupants()


def bench(setting: Setting, spec: Spec) -> Bench:
    """Look at this machine: device, neighbours, interpreters, models.

    Args:
        setting: What is measured here, with models as the spec names them.
        spec: The spec, which names the devices, and where each service may run.

    Raises:
        SetupError: The study cannot run here; it says what to do.
    """
    installed = versions(setting.services)
    devices = opened(spec.device, spec.devices)
    refuse_unfit(devices, setting, spec.places, installed)
    here = replace(setting, services=resolved(setting.services))
    if sentences := undivided(here.services, spec.places):
        raise SetupError("; ".join(sentences))
    occupants, notes = first_of(devices).occupants(), tuple(uneven(devices, spec.places))
    return Bench(devices, here, installed, occupants, notes)


def opened(device: str, by_name: Mapping[str, str]) -> DeviceSet:
    """Open the devices of a spec, the LLM's first.

    Args:
        device: Its only one, or that of the LLM.
        by_name: Several of them by name; none where it has one.

    Raises:
        SetupError: One is missing, or two are one.
    """
    devices: DeviceSet = {
        name: open_device(d, is_shared=len(by_name) == 1) for name, d in by_name.items()
    }
    _refuse_twins(devices)
    return devices or device_set(open_device(device))


def refuse_unfit(
    devices: DeviceSet,
    setting: Setting,
    places: Mapping[str, Sequence[Place]],
    installed: Versions,
) -> None:
    """Refuse devices on which the servers cannot run.

    Args:
        devices: The devices.
        setting: What is measured on them.
        places: Where each service may run.
        installed: The versions of what serves.

    Raises:
        SetupError: There are some.
    """
    if sentences := misfits(first_of(devices), setting.services, installed):
        raise SetupError("; ".join(sentences))
    if sentences := unable(devices, setting.services, places):
        raise SetupError("; ".join(sentences))


def _refuse_twins(devices: DeviceSet) -> None:
    """Refuse two names of one device, as an index and a UUID may be.

    Raises:
        SetupError: There are two.
    """
    names = dict[str, str]()
    for name, device in devices.items():
        if (twin := names.setdefault(device.identity.uuid, name)) != name:
            raise SetupError(f"{twin} and {name} under `devices:` are one device; remove one")
