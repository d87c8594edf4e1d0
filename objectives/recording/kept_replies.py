"""The replies of a launch are kept as rows, so that other limits are judged without measuring."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from objectives.capacity.ramp_figures import goodput_pct, limits_of, ramp_figures
from objectives.capacity.ramp_range import RampRange
from objectives.capacity.ramp_replies import RampReply, read
from objectives.measurement import Measurement

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
Rows = Sequence[Sequence[Any]]


def kept_in(folder: Path) -> Rows | None:
    """Return a row for each request of the window and the ramp of a launch, by the files it left.

    None where it kept none. Times are in seconds from the first request of the window, or from the
    start of the ramp.
    """
    if not (window := folder / "replies.jsonl").is_file():
        return None
    lines = [json.loads(line) for line in window.read_text("utf-8").splitlines()]
    start_s = min((line["scheduled_s"] for line in lines), default=0.0)
    rows = [_row(WINDOW, line, start_s) for line in lines]
    if (ramp := folder / "ramp.jsonl").is_file():
        rows += [_row(RAMP, {c: getattr(r, c) for c in REPLY_COLUMNS}, 0.0) for r in read(ramp)]
    return rows


def _row(ramp: int, reply: Mapping[str, Any], start_s: float) -> list[Any]:
    def value(column: str) -> Any:
        known = reply.get(column)
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


def under(
    measured: Measurement, rows: Rows, limits_ms: Mapping[str, float], pause_s: float
) -> Measurement:
    """Return a measurement with its goodput and capacity under other limits.

    Where the limits are looser than those under which its ramp ended, the ramp may not have broken:
    then the capacity is a lower bound.

    Args:
        measured: What was measured.
        rows: The requests of its launch.
        limits_ms: What a good turn meets, ms by name.
        pause_s: A user's pause between two turns, seconds.
    """
    replies, limits = replies_of(rows), limits_of(limits_ms)
    window = [r for r in replies if r.ramp == WINDOW]
    ramp = [r for r in replies if r.ramp == RAMP]
    figures: dict[str, Any] = {}
    if window:
        figures["goodput_pct"] = goodput_pct(((r.turn, r) for r in window), limits)
    if ramp and measured.ramp:
        rate = RampRange.from_json(measured.ramp).rate
        services = [name for name in measured.services if any(r.service == name for r in ramp)]
        figures |= ramp_figures(ramp, services, rate, limits, pause_s=pause_s)
    return replace(measured, **figures)
