"""An LLM on several devices starts where it starts on each: what their cells say together. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from objectives.fit.cell import Cell
from objectives.fit.fits import Fits

Ends = tuple[float, float]
Number = TypeVar("Number", int, float)


def together(cells: Mapping[str, Cell], totals_mib: Mapping[str, float]) -> Cell:
    """Return what the cells of several devices say of one allocation: the tightest one, named.

    The smallest KV cache is that of all, and the shares between which the LLM starts are told as
    MiB of the first device.

    Args:
        cells: The cell of each device by its name, the LLM's first.
        totals_mib: The memory of each device, MiB.
    """
    name = max(cells, key=lambda n: _tightness(cells[n]))
    tight, first_mib = cells[name], next(iter(totals_mib.values()))
    own = {n: first_mib / totals_mib[n] for n in cells}
    least = [_scaled(c.least_mib, own[n]) for n, c in cells.items() if c.least_mib]
    most = [_scaled(c.most_mib, own[n]) for n, c in cells.items() if c.most_mib]
    return replace(
        tight,
        kv_tokens=_least(cells, lambda c: c.kv_tokens),
        longest_tokens=_least(cells, lambda c: c.longest_tokens),
        at_once=_least(cells, lambda c: c.at_once),
        free_mib=_least(cells, lambda c: c.free_mib),
        is_close=tight.is_close or (not tight.is_ruled_out and _any_close(cells)),
        least_mib=(max(e[0] for e in least), max(e[1] for e in least)) if least else None,
        most_mib=(min(e[0] for e in most), min(e[1] for e in most)) if most else None,
        why=f"{name}: {tight.why}" if tight.why else "",
    )


def _any_close(cells: Mapping[str, Cell]) -> bool:
    return any(cell.is_close for cell in cells.values())


def _tightness(cell: Cell) -> tuple[bool, bool, float]:
    missing_mib = -math.inf if cell.missing_mib is None else cell.missing_mib
    return cell.is_ruled_out, cell.outcome is Fits.UNKNOWN, missing_mib + (cell.margin_mib or 0.0)


def _scaled(ends: Ends, by: float) -> Ends:
    return ends[0] * by, ends[1] * by


def _least(cells: Mapping[str, Cell], of: Callable[[Cell], Number | None]) -> Number | None:
    """Return the smallest of a figure; None where one device does not tell it."""
    values = [of(cell) for cell in cells.values()]
    known = [value for value in values if value is not None]
    return min(known) if len(known) == len(values) else None
