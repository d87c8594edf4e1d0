"""The joint load has figures that its replies alone do not tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from objectives.figures import flat_name
from objectives.load.figures_of_replies import interference, services_in
from objectives.load.open_loop import Window
from objectives.load.replies import Reply
from objectives.load.segments import segment_figures


def window_figures(
    window: Window, ends_s: Sequence[float], alone: Sequence[Reply]
) -> dict[str, Any]:
    """Return what the figures of the replies lack of the joint load, by flat name.

    Args:
        window: The replies of all services under the trace, and the use of their KV caches.
        ends_s: When each segment of the window ends, seconds from its start.
        alone: The replies of each service while it was alone, for its interference.
    """
    figures: dict[str, Any] = {
        flat_name(s, "kv_peak_pct"): pct for s, pct in window.kv_peak_pct.items()
    }
    figures["segments"] = segment_figures(window.replies, window.started_s, ends_s)
    figures |= {flat_name(s, "preemptions"): count for s, count in window.preemptions.items()}
    return figures | {
        flat_name(s, "interference"): interference(window.replies, alone, s)
        for s in services_in(window.replies)
    }
