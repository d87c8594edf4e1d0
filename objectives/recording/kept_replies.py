"""The replies of a launch are kept as rows, so that other limits are judged without measuring."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from objectives.capacity.ramp_figures import KV_FULL, goodput_pct, limits_of, ramp_figures
from objectives.capacity.ramp_range import RampRange
from objectives.capacity.ramp_replies import RampReply, read
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
Rows = Sequence[Sequence[Any]]


def kept_in(folder: Path) -> Rows | None:
    """Return a row for each request of the window and the ramp of a launch, by the files it left.

    None where it kept none. Times are in seconds from the first request of the window, or from the
    start of the ramp.
    """
    if not (window := folder / WINDOW_FILE).is_file():
        return None
    lines = [json.loads(line) for line in window.read_text("utf-8").splitlines()]
    start_s = min((line["scheduled_s"] for line in lines), default=0.0)
    rows = [_row(WINDOW, line, start_s) for line in lines]
    if (ramp := folder / RAMP_FILE).is_file():
        rows += [_row(RAMP, {c: getattr(r, c) for c in REPLY_COLUMNS}, 0.0) for r in read(ramp)]
    return rows


def leave(rows: Rows, folder: Path) -> None:
    """Write rows to the files that their launch left in its folder, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, number in ((WINDOW_FILE, WINDOW), (RAMP_FILE, RAMP)):
        lines = [dict(zip(REPLY_COLUMNS, row, strict=True)) for row in rows if row[0] == number]
        if lines or number == WINDOW:
            write_atomic(folder / file, "".join(json.dumps(line) + "\n" for line in lines))


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
    replies, limits = replies_of(rows or ()), limits_of(limits_ms)
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
