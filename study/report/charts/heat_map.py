"""This module lays the space out as a table of tiles, before it is drawn or written; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from objectives.allocation import MEMORY, OF_MEMORY, SHARE, SPEECH, Scalar
from study.analysis.category import Category, category
from study.analysis.configurations import Configuration
from study.analysis.decision import Decision
from study.report.analysis_words import CATEGORY_WORDS
from study.report.answer import launches_and_error
from study.storage.context import StudyContext
from study.wording.allocations import SHORT
from study.wording.failures import failure_in_words


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile is one place of the heat map.

    Args:
        configuration: The best one there.
        category: What it is to the answer.
        lines: Its text.
    """

    configuration: Configuration
    category: Category
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HeatMap:
    """The heat map is the space as a table of tiles over two of its parameters.

    Args:
        x_name: The parameter from left to right, as its axis is called.
        y_name: The parameter from top to bottom.
        xs: The values of x, as the axis shows them.
        ys: The values of y.
        tiles: The tiles by (x, y).
        others: The other searched parameters; a tile shows the best over them.
    """

    x_name: str
    y_name: str
    xs: tuple[str, ...]
    ys: tuple[str, ...]
    tiles: Mapping[tuple[str, str], Tile]
    others: tuple[str, ...]

    def fitness_range(self) -> tuple[float, float]:
        """Return the least and the greatest fitness of a tile; (0, 0) where none has one."""
        tiles = self.tiles.values()
        values = [f for t in tiles if (f := t.configuration.fitness) is not None]
        return min(values, default=0.0), max(values, default=0.0)


def spelled(name: str, value: Scalar) -> str:
    """Spell a value of a parameter as an axis shows it.

    >>> spelled("vllm_memory_util", 0.375), spelled("whisper.beam_size", 5)
    ('37.5 %', '5')
    """
    if name == SHARE:
        return f"{100 * float(value):g} %"
    if name == MEMORY:
        return f"{float(value):,.0f} MiB"
    return f"{value:g}" if isinstance(value, float) else str(value)


def heat_map(
    configurations: Sequence[Configuration], decision: Decision, context: StudyContext
) -> HeatMap:
    """Lay the space out over two searched parameters.

    They are its first two, memory before speech, but where the winner and what is in use today
    would share a tile: then the second is one in which they differ.
    """
    names = sorted(context.searched, key=lambda n: (n not in OF_MEMORY, n != SPEECH))
    x_name = names[0]
    fixed = [n for n in (SHARE, SPEECH, *context.baseline.values) if n in context.baseline.values]
    y_name = names[1] if len(names) > 1 else next((n for n in fixed if n != x_name), x_name)
    if decision.winner is not None:
        new, old = decision.winner.allocation.values, context.baseline.values
        changed = [name for name in names if new.get(name) != old.get(name)]
        if changed and x_name not in changed and y_name not in changed:
            y_name = changed[0]
    places: dict[tuple[str, str], list[Configuration]] = {}
    for c in configurations:
        x, y = (spelled(name, c.allocation.values[name]) for name in (x_name, y_name))
        places.setdefault((x, y), []).append(c)
    tiles = {
        place: _tile(
            max(group, key=lambda c: (decision.is_winner(c), c.is_feasible, c.fitness or 0.0)),
            len(group),
            decision,
        )
        for place, group in places.items()
    }
    xs, ys = (_axis(n, configurations, context) for n in (x_name, y_name))
    others = tuple(name for name in names if name not in (x_name, y_name))
    return HeatMap(SHORT.get(x_name, x_name), SHORT.get(y_name, y_name), xs, ys, tiles, others)


def _axis(
    name: str, configurations: Sequence[Configuration], context: StudyContext
) -> tuple[str, ...]:
    values = context.searched.get(name) or sorted(
        {c.allocation.values[name] for c in configurations}, key=_order
    )
    return tuple(spelled(name, v) for v in values)


def _order(value: Scalar) -> tuple[bool, float, str]:
    return (True, 0.0, value) if isinstance(value, str) else (False, float(value), "")


def _tile(c: Configuration, count: int, decision: Decision) -> Tile:
    """Make the tile of a configuration that is the best of `count`."""
    kind = category(c, decision)
    lines = [] if c.fitness is None else [f"{c.fitness:.3f}", *launches_and_error(c)]
    if c.failed:
        diagnosis = c.failed[-1].diagnosis
        deficit_mib = diagnosis.deficit_mib if diagnosis else None
        lines.append(failure_in_words(diagnosis.failure_class) if diagnosis else "failed")
        if c.measured:
            lines[-1] += f" in {len(c.failed)} of {len(c.failed) + len(c.measured)}"
        elif deficit_mib:
            lines.append(f"{deficit_mib:,.0f} MiB short")
    if c.is_given_up:
        lines.append(f"≤ {c.dominated[-1].optimistic_fitness:.3f}")
    if kind not in (Category.WORKS, Category.FAILED):
        lines.append(CATEGORY_WORDS[kind])
    return Tile(c, kind, (*lines, *([f"best of {count}"] if count > 1 else [])))
