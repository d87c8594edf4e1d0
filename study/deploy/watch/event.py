"""The watch reports events, and remembers between two looks what it has reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Event = tuple[str, Mapping[str, object]]  # its name, and what more its JSON line holds

RETUNE = "propose a re-tune: python scripts/run_study.py SPEC, then scripts/confirm.py"


@dataclass(slots=True)
class Memory:
    """The watch remembers the events that it has reported, and how often each service was slow.

    Args:
        events: The reported events as JSON, so that each is reported once.
        slow: By service, how many looks in a row found its probe slow.
    """

    events: set[str] = field(default_factory=set)
    slow: dict[str, int] = field(default_factory=dict)
