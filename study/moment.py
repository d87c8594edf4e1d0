"""A moment as a file of ours states it."""

from __future__ import annotations

from datetime import UTC, datetime


def moment(stated: object) -> datetime | None:
    """An ISO 8601 time, in UTC where it names no zone; None where it is none.

    >>> str(moment("2026-11-20T10:00:00")), moment("yesterday")
    ('2026-11-20 10:00:00+00:00', None)
    """
    try:
        at = datetime.fromisoformat(str(stated))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
