"""This module defines the look of a category, a tile and a phase for every picture and plot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import cycle

from objectives.servers.phase_times import TimedPhase
from study.analysis.category import Category
from study.analysis.cost.phases import LATER_PHASES
from study.report.charts.heat_map import Tile
from study.wording.phases import timed_phase_in_words


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark shows a category by its shape too, not by its colour alone.

    Args:
        colour: As #RRGGBB.
        shape: SVG around 0, 0.
        symbol: Plotly's name of the same shape.
    """

    colour: str
    shape: str
    symbol: str


CROSS = '<path d="M-6-6 6 6M-6 6 6-6"/>'
STAR = '<path d="M0-9 2.6-3 9-2.6 4 1.6 5.6 8 0 4.4-5.6 8-4 1.6-9-2.6-2.6-3Z"/>'
# Okabe and Ito's palette: people who are colour-blind can tell its colours apart
CATEGORY_MARKS: Mapping[Category, Mark] = {
    Category.WINNER: Mark("#009E73", STAR, "star"),
    Category.BASELINE: Mark("#0072B2", '<rect x="-6" y="-6" width="12" height="12"/>', "square"),
    Category.INELIGIBLE: Mark("#E69F00", '<path d="M0-8 8 0 0 8-8 0Z"/>', "diamond"),
    Category.WORKS: Mark("#56B4E9", '<circle r="6"/>', "circle"),
    Category.GIVEN_UP: Mark("#999999", '<circle r="4"/>', "circle-dot"),
    Category.OVER: Mark("#999999", CROSS, "x-thin-open"),
    Category.FAILED: Mark("#D55E00", CROSS, "x"),
}
CATEGORY_COLOURS: Mapping[Category, str] = {
    category: mark.colour for category, mark in CATEGORY_MARKS.items()
}
PALE, DEEP, LOST = (247, 251, 255), (140, 190, 225), "#f5c4ab"  # of a tile: worst, best, no score
START_COLOURS = ("#56B4E9", "#0072B2", "#D55E00", "#000000")
LATER_COLOURS = ("#F0E442", "#009E73", "#E69F00", "#CC79A7", "#BBBBBB")


def phase_colours(services: Iterable[str]) -> dict[str, str]:
    """Return the colour of each phase, as people call it, in the order of a launch.

    Args:
        services: The names of the services, in the order of their starts.
    """
    starts = (timed_phase_in_words(TimedPhase.start(service)) for service in services)
    later = zip(map(timed_phase_in_words, LATER_PHASES), LATER_COLOURS, strict=True)
    return {**dict(zip(starts, cycle(START_COLOURS), strict=False)), **dict(later)}


def shade(tile: Tile | None, fitnesses: tuple[float, float]) -> str:
    """Return the colour of a tile, deeper the better it is from the least fitness to the most."""
    if tile is None:
        return "#fff"
    if (fitness := tile.configuration.fitness) is None:
        return LOST
    low, high = fitnesses
    part = (fitness - low) / (high - low) if high > low else 1.0
    mixed = (round(a + (b - a) * part) for a, b in zip(PALE, DEEP, strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)
