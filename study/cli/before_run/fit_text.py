"""Put in words and in a table what would fit, by the models' files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from objectives.allocation import MEMORY, SHARE, SPEECH
from objectives.fit.cell import Cell
from objectives.fit.kv_layout import kv_layout
from study.fit.agreement import Agreement
from study.fit.fit import Fit, varied

VERDICTS = {
    "starts": "starts",
    "predicted_oom": "no: memory",
    "predicted_kv_too_small": "no: KV cache",
    "unknown": "not known",
}
SHORT = {SHARE: "share", MEMORY: "LLM MiB", SPEECH: "speech"}
SHOWN = 60


def verdict(cell: Cell) -> str:
    """Return the verdict on a cell in a word or three.

    A sum inside its margin is only close, and the servers are asked.
    """
    return VERDICTS[cell.outcome] + (", close" if cell.is_close else "")


def sentence(cell: Cell) -> str:
    """Return what the files say of a cell, for a line of the dry run."""
    if cell.outcome == "unknown":
        return f"not known, {cell.why}"
    words = verdict(cell)
    if cell.kv_tokens is not None:
        words += f", {cell.kv_tokens:,} tokens of KV cache"
    return f"{words}: {cell.why}" if cell.is_ruled_out or cell.is_close else words


def heading(fit: Fit) -> list[str]:
    """Return the lines above the table: the device, the model, what it takes."""
    host, model, shape = fit.asked.host, fit.asked.model, fit.asked.model.shape
    server = f"vLLM {fit.asked.version}" if fit.asked.version else "a new vLLM (0.27 or later)"
    if fit.asked.llm.command is not None:
        server = "llama.cpp"
    lines = [
        f"{host.product}: {host.total_mib:,.0f} MiB for servers, {host.held_mib:,.0f} held by "
        f"others, {host.reserve_mib:,.0f} kept for their growth; {server}"
    ]
    weights = "unknown" if model.weights_mib is None else f"{model.weights_mib:,.0f} MiB"
    lines.append(f"{shape.architecture}: weights {weights}, {model.why}")
    layout = kv_layout(shape, fit.asked.options(fit.cells[0].allocation))
    if isinstance(layout, str):
        lines.append(f"KV cache: not known: {layout}")
    else:
        lines.append(f"KV cache: {layout.token_bytes / 1024:,.4g} KiB a token")
    return [*lines, *fit.notes]


def table(cells: Sequence[Cell]) -> Table:
    """Return the table of cells, for 80 columns; what changes no figure is left out of it."""
    parameters = _telling(cells)
    narrow = 2 if len(parameters) < 4 else 1
    shown = Table(box=None, pad_edge=False, padding=(0, narrow, 0, 0))
    for name in parameters:
        head = SHORT.get(name, name.partition(".")[2].replace("_", "\n"))
        shown.add_column(head, no_wrap=True)
    shown.add_column("verdict", no_wrap=True)
    for head in ("KV\ntokens", "longest\nrequest", "at\nonce", "MiB\nfree"):
        shown.add_column(head, justify="right", no_wrap=True)
    for cell in _distinct(cells, parameters)[:SHOWN]:
        values = (_word(value) for value in _values(cell, parameters))
        numbers = ("-" if n is None else f"{n:,.0f}" for n in _figures(cell)[1:])
        shown.add_row(*values, verdict(cell), *numbers)
    return shown


def ending(fit: Fit) -> list[str]:
    """Return the lines below the table: which cells do not start, and which are only close."""
    parameters = _telling(fit.cells)
    cells = _distinct(fit.cells, parameters)
    lines = []
    if hidden := [p.partition(".")[2] for p in varied(fit.cells) if p not in parameters]:
        lines.append(f"the same with every {', '.join(hidden)} of the space")
    if len(cells) > SHOWN:
        lines.append(f"the first {SHOWN} of {len(cells)} are shown; --json has all")
    ruled_out = [cell for cell in cells if cell.is_ruled_out]
    lines.append(_listed(ruled_out, parameters, "cannot start"))
    close = [cell for cell in cells if cell.is_close]
    if close:
        lines.append(_listed(close, parameters, "close, so that the servers must be asked"))
    if unknown := next((cell for cell in cells if cell.outcome == "unknown"), None):
        lines.append(f"not known: {unknown.why}")
    return [*lines, "at once: requests as long as the workload's longest, with their answer"]


def as_json(fit: Fit) -> dict[str, Any]:
    """Return the answer as plain data."""
    host, model = fit.asked.host, fit.asked.model
    return {
        "device": {
            "product": host.product,
            "total_mib": host.total_mib,
            "held_mib": host.held_mib,
            "reserve_mib": host.reserve_mib,
        },
        "model": {
            "architecture": model.shape.architecture,
            "weights_mib": model.weights_mib,
            "source": model.source,
            "why": model.why,
        },
        "vllm": fit.asked.version,
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
                "why": cell.why,
            }
            for cell in fit.cells
        ],
    }


def _telling(cells: Sequence[Cell]) -> tuple[str, ...]:
    """Return the parameters that change a figure, share and speech model first."""
    telling = varied(cells)
    for name in telling[2:]:
        others = tuple(p for p in telling if p != name)
        by_others: dict[tuple[object, ...], set[object]] = {}
        for cell in cells:
            by_others.setdefault(tuple(_values(cell, others)), set()).add(_figures(cell))
        if all(len(figures) == 1 for figures in by_others.values()):
            telling = others
    return telling


def _distinct(cells: Sequence[Cell], parameters: Sequence[str]) -> list[Cell]:
    """Return one cell for each combination of values."""
    by_values = {tuple(_values(cell, parameters)): cell for cell in reversed(cells)}
    return list(reversed(by_values.values()))


def _values(cell: Cell, parameters: Sequence[str]) -> list[object]:
    return [cell.allocation.values.get(name, "-") for name in parameters]


def _figures(cell: Cell) -> tuple[Any, ...]:
    """Return the verdict and the four figures of a row."""
    free_mib = None if cell.free_mib is None else round(cell.free_mib)
    return (verdict(cell), cell.kv_tokens, cell.longest_tokens, cell.at_once, free_mib)


def _word(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _listed(cells: Sequence[Cell], parameters: Sequence[str], what: str) -> str:
    names = [" + ".join(map(_word, _values(cell, parameters))) for cell in cells[:SHOWN]]
    more = f" and {len(cells) - SHOWN} more" if len(cells) > SHOWN else ""
    return f"{what}: {', '.join(names) or 'none'}{more}"


def cannot_start(agreements: Sequence[Agreement]) -> list[str]:
    """Return a line a recording, with those of its cells that cannot start by the files."""
    lines = []
    for a in agreements:
        cells = [start.cell for start in a.starts]
        parameters = _telling(cells)
        ruled_out = [cell for cell in _distinct(cells, parameters) if cell.is_ruled_out]
        lines.append(_listed(ruled_out, parameters, f"{a.name}: cannot start"))
    return lines


def agreement_table(agreements: Sequence[Agreement]) -> Table:
    """Return the table of how the files agree with recordings, one a row."""
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head in ("recording", "model"):
        shown.add_column(head, no_wrap=True)
    for head in ("starts", "KV tokens off at most", "start or not, right", "close", "right"):
        shown.add_column(head, justify="right")
    for a in agreements:
        off = "-" if a.kv_off_pct is None else f"{a.kv_off_pct:.1f} %"
        close = [start for start in a.starts if start.cell.is_close]
        right = f"{sum(s.is_right for s in a.sure)} of {len(a.sure)}"
        among = f"{sum(s.is_right for s in close)} of {len(close)}" if close else "-"
        shown.add_row(a.name, a.model, str(len(a.starts)), off, right, str(len(close)), among)
    return shown
