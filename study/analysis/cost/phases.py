"""This module splits the seconds of one launch by phase."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from objectives.figures import flat_name
from objectives.measurement import Measurement
from objectives.plain_data.names_of_0_1 import current_names
from objectives.servers.phase_times import ALONE, RAMP, STOPPING, WINDOW, TimedPhase

LOADS = (WINDOW, RAMP)
# by a recording that was made before phases were timed
UNATTRIBUTED = TimedPhase("not told apart")
LATER_PHASES = (ALONE, *LOADS, STOPPING, UNATTRIBUTED)  # than the starts


def phase_seconds(
    measurement: Measurement | None,
    measured: Mapping[str, Any],
    wall_s: float,
    services: Iterable[str],
) -> dict[TimedPhase, float]:
    """Return the seconds of a launch by phase.

    Args:
        measurement: What the launch measured; None where it failed.
        measured: What a launch that failed had measured by then.
        wall_s: The wall time of the launch.
        services: The names of the services, in the order of their starts.
    """
    m = measurement
    stored = m.phase_s if m else current_names(measured).get("phase_s") or {}
    phase_s = {TimedPhase.of(text): s for text, s in stored.items()}
    starts = {TimedPhase.start(s): flat_name(s, "start_s") for s in services}
    if not phase_s:
        own = {**starts, WINDOW: "window_s"}
        figures = {p: m.figure(n) if m else measured.get(n) for p, n in own.items()}
        phase_s = {p: float(s) for p, s in figures.items() if s}
        rest_s = wall_s - sum(phase_s.values())
        phase_s |= {UNATTRIBUTED: rest_s} if rest_s > 0.5 else {}
    return {p: phase_s[p] for p in (*starts, *LATER_PHASES) if p in phase_s}
