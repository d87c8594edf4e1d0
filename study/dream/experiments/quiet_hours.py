"""Quiet hours are times of the day at which nothing runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from study.spec.yaml_node import YamlEntry

HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Quiet hours begin and end at a time of the day, also over midnight.

    Args:
        begin: The first minute.
        end: The first minute after them.
    """

    begin: time
    end: time

    def until(self, now: datetime) -> datetime | None:
        """Return when they end, where they hold now; else None.

        Both are local times without a zone, so that they hold by the clock on the wall also in
        the night in which it is set.

        >>> hours = QuietHours(time(23), time(5))
        >>> hours.until(datetime(2026, 1, 1, 23, 30)), hours.until(datetime(2026, 1, 1, 12))
        (datetime.datetime(2026, 1, 2, 5, 0), None)
        """
        for day in (-1, 0):
            begin = datetime.combine(now.date(), self.begin) + timedelta(days=day)
            end = datetime.combine(begin.date(), self.end)
            end += timedelta(days=1) if end <= begin else timedelta()
            if begin <= now < end:
                return end.replace(fold=now.fold)
        return None


def quiet_until(hours: Sequence[QuietHours], now: datetime) -> datetime | None:
    """Return when the quiet hours that hold now end; None where none do."""
    return max((end for h in hours if (end := h.until(now)) is not None), default=None)


def read_quiet_hours(entry: YamlEntry) -> tuple[QuietHours, ...]:
    """Return the quiet hours of a list such as ["03:00-07:00"]."""
    if entry.is_null:
        return ()
    hours = []
    for e in entry.elements():
        match = HOURS.fullmatch(e.text)
        if match is None or match[1] + match[2] == match[3] + match[4]:
            raise e.wrong(f"{e.quotation} are no hours", 'write such as "03:00-07:00"')
        begin, end = time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4]))
        hours.append(QuietHours(begin, end))
    return tuple(hours)
