"""The one seam: whoever measures takes an allocation and a run of it, be it live or from a recording."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from objectives.allocation import Allocation
from objectives.measurement import Measurement


@dataclass(frozen=True, slots=True)
class Run:
    """One evaluation: its seed, the folder for its logs, and who is told about its phases.

    is_fresh: launch both servers anew, also where they run already: a replicate must not share a launch
    """

    seed: int
    folder: Path
    on_phase: Callable[[str], None] = lambda _: None
    is_fresh: bool = False


Measure = Callable[[Allocation, Run], Measurement]
