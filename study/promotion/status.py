"""The status of a promotion says how far it has come, from candidate to confirmed."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """A status stands in the promotion's file; a replay keeps its own, since it never applies."""

    CANDIDATE = "candidate"
    REPLAY = "replay"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    INCONCLUSIVE = "inconclusive"


VERDICTS = (Status.CONFIRMED, Status.REJECTED, Status.INCONCLUSIVE)  # what a confirmation ends with


OF_EXPERIMENT = "dream_experiment"  # the `kind` of a promotion that is no study's of ours


def status_of(data: Mapping[str, Any]) -> Status | None:
    """Return the status of a promotion's data; None where it has none that is known.

    >>> status_of({"status": "replay"}), status_of({"status": ["replay"]})
    (<Status.REPLAY: 'replay'>, None)
    """
    return next((status for status in Status if status == data.get("status")), None)
