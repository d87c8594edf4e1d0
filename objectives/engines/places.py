"""A place says where a service runs: on which devices, and how exact its numbers are. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from objectives.allocation import Allocation
from objectives.services import DeviceKind, Service

HOST = "cpu"  # the device of this name is the host's own memory
PLACE = "place"  # the option of a service that says where it runs
AND = "+"  # between the devices of a set, over which one service is spread


@dataclass(frozen=True, slots=True)
class Place:
    """A place is where a service runs.

    Args:
        on: The name of a device, or those of a set as a spec writes them: `gpu0+gpu1`.
        precision: The number format that the service has there; empty for its usual one.
    """

    on: str
    precision: str = ""

    @property
    def devices(self) -> tuple[str, ...]:
        """Return the names of its devices, in their order.

        >>> Place("gpu0+gpu1").devices
        ('gpu0', 'gpu1')
        """
        return tuple(self.on.split(AND))

    @property
    def kind(self) -> DeviceKind:
        """Return the kind of its devices."""
        return "cpu" if self.on == HOST else "cuda"

    @classmethod
    def of(cls, text: str) -> Place:
        """Return the place of a text.

        >>> Place.of("gpu1/int8")
        Place(on='gpu1', precision='int8')
        """
        on, _, precision = text.partition("/")
        return cls(on, precision)


def place_of(name: str, service: Service, allocation: Allocation) -> Place | None:
    """Return where a service runs under an allocation; None where the study has one device.

    >>> from objectives.services import SttService
    >>> stt = SttService(place="gpu0")
    >>> place_of("stt", stt, Allocation({})).on
    'gpu0'
    >>> place_of("stt", stt, Allocation({"stt.place": "cpu/int8"}))
    Place(on='cpu', precision='int8')
    """
    text = allocation.values.get(f"{name}.{PLACE}", service.place)
    return None if text is None else Place.of(str(text))


def devices_of(name: str, service: Service, allocation: Allocation) -> int:
    """Return over how many devices a service is spread under an allocation; 1 where it is not."""
    place = place_of(name, service, allocation)
    return 1 if place is None else len(place.devices)
