"""A place says where a service runs: on which device, and how exact its numbers are there. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from objectives.allocation import Allocation
from objectives.services import DeviceKind, Service

HOST = "cpu"  # the device of this name is the host's own memory
PLACE = "place"  # the option of a service that says where it runs


@dataclass(frozen=True, slots=True)
class Place:
    """A place is where a service runs.

    Args:
        device: The name of a device.
        precision: The number format that the service has there; empty for its usual one.
    """

    device: str
    precision: str = ""

    @property
    def kind(self) -> DeviceKind:
        """Return the kind of its device."""
        return "cpu" if self.device == HOST else "cuda"

    @classmethod
    def of(cls, text: str) -> Place:
        """Return the place of a text.

        >>> Place.of("gpu1/int8")
        Place(device='gpu1', precision='int8')
        """
        device, _, precision = text.partition("/")
        return cls(device, precision)


def place_of(name: str, service: Service, allocation: Allocation) -> Place | None:
    """Return where a service runs under an allocation; None where the study has one device.

    >>> from objectives.services import SttService
    >>> stt = SttService(place="gpu0")
    >>> place_of("stt", stt, Allocation({})).device
    'gpu0'
    >>> place_of("stt", stt, Allocation({"stt.place": "cpu/int8"}))
    Place(device='cpu', precision='int8')
    """
    text = allocation.values.get(f"{name}.{PLACE}", service.place)
    return None if text is None else Place.of(str(text))
