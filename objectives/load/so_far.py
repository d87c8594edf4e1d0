"""A window under way becomes what a launch has measured so far."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from objectives.load.figures_of_replies import summarise
from objectives.load.open_loop import Progress
from objectives.load.segments import segment_figures
from objectives.measurement import INFINITE, Measurement

ONLY_WORSE = ("device_total_mib", "free_memory_mib")  # other figures of a device may recover


def so_far(
    measured: Mapping[str, Any], progress: Progress, devices: Sequence[Mapping[str, Any]]
) -> Measurement:
    """Return what a launch has measured so far, its window as good as it can still be.

    Args:
        measured: The figures from before the window, by flat name.
        progress: The window at the end of a segment.
        devices: The memory figures of each device since the start of the window.
    """
    tightest = min(devices, key=lambda figures: figures.get("free_memory_mib", INFINITE))
    kept = {name: value for name, value in tightest.items() if name in ONLY_WORSE}
    figures = {**measured, **summarise(progress.replies), **kept}
    ends_s = (*progress.ends_s, math.inf)
    segments = segment_figures(progress.replies, progress.start_s, ends_s)
    return Measurement.from_flat({**figures, "segments": segments[: progress.ended]})
