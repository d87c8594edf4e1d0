"""A victim is what a failure befell: a service, a tenant of the device, or the host. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class VictimKind(StrEnum):
    """The kind says what a victim is."""

    SERVICE = "service"
    TENANT = "tenant"
    HOST = "host"


@dataclass(frozen=True, slots=True)
class Victim:
    """A victim has a kind and a name; as text, which is stored, a service is its name alone.

    Args:
        kind: What it is.
        name: The name of the service or tenant, the unit or id of a process; empty for the host.

    >>> str(Victim(VictimKind.TENANT, "game")), str(Victim(VictimKind.HOST))
    ('tenant:game', 'host')
    """

    kind: VictimKind
    name: str = ""

    @classmethod
    def of(cls, text: str) -> Victim:
        """Return the victim of a stored text.

        >>> Victim.of("tenant:game").name, Victim.of("llm").kind.value
        ('game', 'service')
        """
        kind, is_named, name = text.partition(":")
        if text == VictimKind.HOST:
            return cls(VictimKind.HOST)
        if kind == VictimKind.TENANT and is_named:
            return cls(VictimKind.TENANT, name)
        return cls(VictimKind.SERVICE, text)

    def __str__(self) -> str:
        match self.kind:
            case VictimKind.SERVICE:
                return self.name
            case VictimKind.TENANT:
                return f"{self.kind}:{self.name}"
        return self.kind.value
