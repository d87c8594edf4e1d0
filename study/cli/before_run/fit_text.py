"""This module puts in words what would fit, by the models' files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from objectives.engines.places import AND
from objectives.fit.cell import Cell, Host
from objectives.fit.fits import Fits
from study.cli.before_run.fit_table import SHOWN, distinct, telling, values_of, verdict, word
from study.fit.agreement import Agreement
from study.fit.fit import Fit, varied

LISTED = 12
SCHEMA = 1  # of the data: raised where a key goes or means something else; new ones may come


def sentence(cell: Cell) -> str:
    """Return what the files say of a cell, for a line of the dry run."""
    if cell.outcome is Fits.UNKNOWN:
        return f"not known, {cell.why}"
    words = verdict(cell)
    if cell.kv_tokens is not None:
        words += f", {cell.kv_tokens:,} tokens of KV cache"
    return f"{words}: {cell.why}" if cell.is_ruled_out else words


def heading(fit: Fit) -> list[str]:
    """Return the lines above the table: the device, the model, what it takes."""
    model, shape = fit.files.model, fit.files.model.shape
    lines = [f"{_host(fit.files.host)}; {fit.files.server}"]
    lines += [f"{name}: {_host(host)}" for name, host in fit.files.others.items()]
    weights = "unknown" if model.weights_mib is None else f"{model.weights_mib:,.0f} MiB"
    lines.append(f"{shape.architecture}: weights {weights}, {model.why}")
    for place in dict.fromkeys(cell.place for cell in fit.cells):
        cell = next(c for c in fit.cells if c.place == place)
        each = fit.files.token_bytes(cell.allocation)
        if isinstance(each, str):
            lines.append(f"KV cache: not known: {each}")
        else:
            where = f" on each of {place}" if AND in place else ""
            lines.append(f"KV cache: {each / 1024:,.4g} KiB a token{where}")
    return list(dict.fromkeys([*lines, *fit.notes]))


def _host(host: Host) -> str:
    return (
        f"{host.product}: {host.total_mib:,.0f} MiB for servers, {host.held_mib:,.0f} held by "
        f"others, {host.reserve_mib:,.0f} kept for their growth"
    )


def shares(cells: Sequence[Cell], total_mib: float) -> list[str]:
    """Say from which share to which the LLM starts, and which of the space is the smallest.

    Where its place is searched, it is said of each.

    Args:
        cells: What the files say of the space.
        total_mib: The memory of the device, MiB.
    """
    places = dict.fromkeys(cell.place for cell in cells)
    lines = {p: _shares([c for c in cells if c.place == p], total_mib) for p in places}
    if len(places) == 1:
        return lines[cells[0].place]
    return [f"on {place}: {line}" for place, of in lines.items() for line in of]


def _shares(cells: Sequence[Cell], total_mib: float) -> list[str]:
    least = min((c.least_mib for c in cells if c.least_mib is not None), default=None)
    if least is None:
        return []
    perhaps, sure = (math.ceil(100 * mib / total_mib) / 100 for mib in least)
    beside: dict[str, tuple[float, float]] = {}
    for cell in (c for c in cells if c.most_mib is not None):
        ends = beside.get(cell.allocation.speech, (0.0, 0.0))
        beside[cell.allocation.speech] = max(ends, cell.most_mib or ends)
    starts = f"the LLM starts from a share of {perhaps:.2f} on ({sure:.2f} to be sure)"
    most_mib = max((high for _, high in beside.values()), default=math.inf)
    if most_mib < least[0]:
        left = "nothing" if most_mib <= 0 else f"at most {_share(most_mib, total_mib)}"
        return [
            f"{starts}, and what else is on the device, tenants and other processes among it, "
            f"leaves it {left}: let them hold less, or name a smaller model"
        ]
    fits = [
        f"{_share(high, total_mib)}{f' ({_share(low, total_mib)})' if low else ''} beside {name}"
        for name, (low, high) in beside.items()
    ]
    is_sure = any(low for low, _ in beside.values()) or not beside
    upto = f", and fits up to {', '.join(fits)}" if fits else ""
    lines = [f"{starts}{upto}"]
    if cells[0].allocation.memory_mib is None:
        lines.append(_smallest(cells, is_sure=is_sure))
    return lines


def _share(mib: float, total_mib: float) -> str:
    """Return so many MiB as a share, rounded down; a dash where nothing is left."""
    return "-" if mib <= 0 else f"{math.floor(100 * mib / total_mib) / 100:.2f}"


def _smallest(cells: Sequence[Cell], *, is_sure: bool) -> str:
    """Say which share of the space is the smallest that starts, or that none is sure to.

    Args:
        cells: What the files say of the space.
        is_sure: Whether any share could be sure to, since all that is beside it is known.
    """
    starting = [c for c in cells if c.outcome is Fits.STARTS]
    sure = sorted({c.allocation.share for c in starting if not c.is_close})
    close = sorted({c.allocation.share for c in starting if c.is_close})
    if sure:
        lower = [f"{share:g}" for share in close if share < sure[0]]
        may = f"; {', '.join(lower)} may, which only the servers can tell" if lower else ""
        return f"the smallest share of the space that starts is {sure[0]:g}{may}"
    may = f"{', '.join(f'{s:g}' for s in close)} may, which only the servers can tell"
    if close and not is_sure:
        return f"of the space {may}, since not all that is beside it is known"
    return (
        f"no share of the space is sure to start{f'; {may}' if close else ''}: add one to "
        "`search_space`, and to `bounds` where it is outside of them"
    )


def ending(fit: Fit) -> list[str]:
    """Return the lines below the table: which cells do not start, and which are only close."""
    parameters = telling(fit.cells)
    cells = distinct(fit.cells, parameters)
    lines = shares(fit.cells, fit.files.host.total_mib)
    if hidden := [p.partition(".")[2] for p in varied(fit.cells) if p not in parameters]:
        lines.append(f"the same with every {', '.join(hidden)} of the space")
    if len(cells) > SHOWN:
        lines.append(f"the first {SHOWN} of {len(cells)} are shown; --json has all")
    ruled_out = [cell for cell in cells if cell.is_ruled_out]
    lines.append(_listed(ruled_out, parameters, "cannot start"))
    close = [cell for cell in cells if cell.is_close]
    if close:
        lines.append(_listed(close, parameters, "close (~), so that the servers must be asked"))
    if unknown := next((cell for cell in cells if cell.outcome is Fits.UNKNOWN), None):
        lines.append(f"not known: {unknown.why}")
    return [*lines, "at once: requests as long as the workload's longest, with their answer"]


def as_json(fit: Fit) -> dict[str, Any]:
    """Return the answer as plain data."""
    host, model = fit.files.host, fit.files.model
    return {
        "kind": "fit",
        "schema": SCHEMA,
        "device": {
            "product": host.product,
            "total_mib": host.total_mib,
            "held_mib": host.held_mib,
            "reserve_mib": host.reserve_mib,
        },
        "other_devices": {
            name: {"product": h.product, "total_mib": h.total_mib, "held_mib": h.held_mib}
            for name, h in fit.files.others.items()
        },
        "model": {
            "architecture": model.shape.architecture,
            "weights_mib": model.weights_mib,
            "source": model.source,
            "why": model.why,
        },
        "vllm": fit.files.version,
        "notes": list(fit.notes),
        "cells": [
            {
                "values": dict(cell.allocation.values),
                "outcome": cell.outcome,
                "is_close": cell.is_close,
                "missing_mib": cell.missing_mib,
                "margin_mib": cell.margin_mib,
                "kv_tokens": cell.kv_tokens,
                "longest_tokens": cell.longest_tokens,
                "at_once": cell.at_once,
                "free_mib": cell.free_mib,
                "least_mib": cell.least_mib,
                "most_mib": cell.most_mib,
                "why": cell.why,
                "place": cell.place,
            }
            for cell in fit.cells
        ],
    }


def _listed(cells: Sequence[Cell], parameters: Sequence[str], what: str) -> str:
    if len(cells) > LISTED:
        return f"{what}: {len(cells)} of them; --json names each"
    names = [" + ".join(map(word, values_of(cell, parameters))) for cell in cells]
    return f"{what}: {', '.join(names) or 'none'}"


def cannot_start(agreements: Sequence[Agreement]) -> list[str]:
    """Return a line a recording, with those of its cells that cannot start by the files."""
    lines = []
    for a in agreements:
        cells = [start.cell for start in a.starts]
        parameters = telling(cells)
        ruled_out = [cell for cell in distinct(cells, parameters) if cell.is_ruled_out]
        lines.append(_listed(ruled_out, parameters, f"{a.name}: cannot start"))
    return lines
