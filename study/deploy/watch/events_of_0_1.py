"""The log of a deployment has events of 0.1, whose sentence alone says what newer ones type."""

from __future__ import annotations

from collections.abc import Mapping

LOST = "its process ended"


def lost_its_process(event: Mapping[str, object]) -> bool:
    """Tell whether the process of a change had ended before the change did."""
    return str(event.get("why")).startswith(LOST)
