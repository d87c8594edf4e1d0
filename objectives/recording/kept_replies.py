"""The replies of a launch are kept as rows, so that other limits are judged without measuring."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from objectives.capacity.ramp_capacity import COMPLETION_WINDOW_S
from objectives.capacity.ramp_figures import KV_FULL, goodput_pct, limits_of, ramp_figures
from objectives.capacity.ramp_range import RampRange
from objectives.capacity.ramp_replies import RampReply, read, read_lines, reply_of
from objectives.measurement import Measurement
from objectives.plain_data.atomic import write_atomic

WINDOW_FILE, RAMP_FILE = "replies.jsonl", "ramp.jsonl"  # that a launch leaves in its folder
WINDOW, RAMP = 0, 1  # the number of the ramp of a row
REPLY_COLUMNS = (
    "ramp",
    "service",
    "turn",
    "scheduled_s",
    "first_s",
    "end_s",
    "tokens",
    "error",
)
OF_LIMITS = (  # the figures that other limits change
    "goodput_pct",
    "breaking_point_turns_per_s",
    "completed_turns_per_s",
    "capacity_turns_per_s",
    "capacity_bracket",
    "capacity_bound_by",
    "capacity_turns_below",
    "concurrent_capacity",
)
ROUNDED_MS = 0.1  # how far a duration of a row may be from what was measured
Rows = Sequence[Sequence[Any]]


def kept_in(folder: Path) -> Rows | None:
    """Return a row for each request of the window and the ramp of a launch, by the files it left.

    None where it kept none.

    Raises:
        BadInput: A file cannot be read, or a line is no reply.
    """
    window, ramp = folder / WINDOW_FILE, folder / RAMP_FILE
    return rows_in(window, ramp if ramp.is_file() else None) if window.is_file() else None


def rows_in(window: Path, ramp: Path | None) -> Rows:
    """Return a row for each request of a window and a ramp, by the files that have them.

    Times are in seconds from the first request of the window, or from the start of the ramp.

    Raises:
        BadInput: A file cannot be read, or a line is no reply.
    """
    replies = read_lines(window)
    start_s = min((r.scheduled_s for r in replies), default=0.0)
    rows = [_row(WINDOW, r, start_s) for r in replies]
    return rows + [_row(RAMP, r, 0.0) for r in (read(ramp) if ramp else ())]


def leave(rows: Rows, folder: Path) -> None:
    """Write rows to the files that their launch left in its folder, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, number in ((WINDOW_FILE, WINDOW), (RAMP_FILE, RAMP)):
        lines = [dict(zip(REPLY_COLUMNS, row, strict=True)) for row in rows if row[0] == number]
        if lines or number == WINDOW:
            write_atomic(folder / file, "".join(json.dumps(line) + "\n" for line in lines))


def _row(ramp: int, reply: RampReply, start_s: float) -> list[Any]:
    def value(column: str) -> Any:
        known = getattr(reply, column)
        return round(known - start_s, 4) if column.endswith("_s") and known is not None else known

    return [ramp, *(value(column) for column in REPLY_COLUMNS[1:])]


def replies_of(rows: Rows) -> tuple[RampReply, ...]:
    """Return the replies that rows keep.

    Raises:
        TypeError or ValueError: One has not the columns.
    """
    return tuple(
        RampReply(line=n, **dict(zip(REPLY_COLUMNS, row, strict=True)))
        for n, row in enumerate(rows)
    )


def check_rows(rows: Any) -> None:
    """Check that rows are of replies, as `rows_in` returns them.

    Raises:
        TypeError or ValueError: One is not.
    """
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise TypeError("its replies are no list of rows")
    for n, row in enumerate(rows, 1):
        data = dict(zip(REPLY_COLUMNS, row, strict=True))
        ramp = data["ramp"]
        if isinstance(ramp, bool) or ramp not in (WINDOW, RAMP):
            raise ValueError(f"reply {n}: its ramp is {str(ramp)[:40]!r}, not {WINDOW} or {RAMP}")
        try:
            reply_of(n, data)
        except (TypeError, ValueError) as error:
            raise ValueError(f"reply {n}: {error}") from error


def are_whole(rows: Rows, measured: Measurement, limits_ms: Mapping[str, float]) -> bool:
    """Return whether rows show the goodput and capacity that were measured.

    Where some are lost they do not. Times of rows are rounded, so a request may be just on the
    other side of a limit, and a completion of the end of its 20 s.

    Args:
        rows: The requests of the launch.
        measured: What was measured.
        limits_ms: The limits under which it was, ms by name.
    """
    if not limits_ms:
        return True  # what 0.1 measured had none
    replies = replies_of(rows)
    shown = [
        _under(measured, replies, {name: ms + by_ms for name, ms in limits_ms.items()}, 0.0)
        for by_ms in (-ROUNDED_MS, 0.0, ROUNDED_MS)
    ]

    def is_shown(name: str, near: float) -> bool:
        figures = [m.figure(name) or 0.0 for m in shown]
        known = measured.figure(name) or 0.0
        return bool(min(figures) - near <= known <= max(figures) + near)

    if measured.goodput_pct is not None and (
        shown[0].goodput_pct is None or not is_shown("goodput_pct", 1e-6)
    ):
        return False
    if measured.capacity_bound_by is None:
        return True
    break_per_s = measured.breaking_point_turns_per_s or 0.0
    return (
        shown[0].capacity_bound_by is not None
        and is_shown("breaking_point_turns_per_s", 1e-3 * break_per_s)
        and is_shown("completed_turns_per_s", 1.01 / COMPLETION_WINDOW_S)
    )


def under(
    measured: Measurement, rows: Rows | None, limits_ms: Mapping[str, float], pause_s: float
) -> Measurement:
    """Return a measurement with its goodput and capacity under other limits.

    They are not known where no replies were kept. Where the limits are looser than those under
    which its ramp ended, the ramp may not have broken: then the capacity is a lower bound.

    Args:
        measured: What was measured.
        rows: The requests of its launch; None where they were not kept.
        limits_ms: What a good turn meets, ms by name.
        pause_s: A user's pause between two turns, seconds.
    """
    return _under(measured, replies_of(rows or []), limits_ms, pause_s)


def _under(
    measured: Measurement,
    replies: Sequence[RampReply],
    limits_ms: Mapping[str, float],
    pause_s: float,
) -> Measurement:
    limits = limits_of(limits_ms)
    window = [r for r in replies if r.ramp == WINDOW]
    ramp = [r for r in replies if r.ramp == RAMP]
    figures: dict[str, Any] = {
        f.name: f.default for f in fields(Measurement) if f.name in OF_LIMITS
    }
    if window:
        figures["goodput_pct"] = goodput_pct(((r.turn, r) for r in window), limits)
    if ramp and measured.ramp:
        rate = RampRange.from_json(measured.ramp).rate
        services = [name for name in measured.services if any(r.service == name for r in ramp)]
        full_s = measured.ramp.get(KV_FULL)
        figures |= ramp_figures(ramp, services, rate, limits, pause_s=pause_s, kv_full_s=full_s)
    return replace(measured, **figures)
