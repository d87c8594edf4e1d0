"""Tables show what would fit by the models' files, and how these agree with recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich.table import Table

from objectives.allocation import MEMORY, SHARE, SPEECH
from objectives.engines.places import PLACE
from objectives.figures import service_name
from objectives.fit.cell import Cell
from objectives.fit.fits import Fits
from study.fit.agreement import Agreement
from study.fit.fit import varied

VERDICTS = {
    Fits.STARTS: "starts",
    Fits.PREDICTED_OOM: "no: memory",
    Fits.PREDICTED_KV_TOO_SMALL: "no: KV cache",
    Fits.UNKNOWN: "not known",
}
SHORTEST = {**VERDICTS, Fits.PREDICTED_KV_TOO_SMALL: "no: KV"}
SHORT = {SHARE: "share", MEMORY: "LLM MiB", SPEECH: "speech"}
SHOWN = 60
WIDTH, WIDE = 80, 4  # characters; parameters from which on columns stand close
FIGURES = ("KV\ntokens", "longest\nrequest", "at\nonce", "MiB\nfree")
SPARE = FIGURES[1:3]


def verdict(cell: Cell) -> str:
    """Return the verdict on a cell in a word or three.

    A sum inside its margin is only close, and the servers are asked.
    """
    return VERDICTS[cell.outcome] + (", close" if cell.is_close else "")


def table(cells: Sequence[Cell], width: int = WIDTH) -> Table:
    """Return the table of cells; what changes no figure is left out of it.

    Where it is wider than `width`, the longest request and how many fit at once are left out, which
    `--json` has, and verdicts are shortened: a ~ is a sum inside its margin.
    """
    parameters = telling(cells)
    several = [p for p in parameters if len({word(values_of(c, (p,))[0]) for c in cells}) > 1]
    names = several if len(parameters) > WIDE else parameters
    rows = list(dict.fromkeys(_rows(distinct(cells, parameters), names, verdict)))[:SHOWN]
    gap = 2 if len(names) < WIDE else 1
    heads = [*map(_head, names), "verdict", *FIGURES]
    if _width(heads, rows, gap) > width:
        rows = list(dict.fromkeys(_rows(distinct(cells, parameters), names, _shortest)))[:SHOWN]
        kept = [n for n, head in enumerate(heads) if head not in SPARE]
        heads, rows = [heads[n] for n in kept], [tuple(row[n] for n in kept) for row in rows]
    shown = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0))
    for head in heads:
        shown.add_column(head, justify="right" if head in FIGURES else "left", no_wrap=True)
    for row in rows:
        shown.add_row(*row)
    return shown


def _rows(
    cells: Sequence[Cell], parameters: Sequence[str], verdict_of: Callable[[Cell], str]
) -> Iterator[tuple[str, ...]]:
    """Yield a row for each cell; one for all of a share that do not start for one reason."""
    by_share: dict[tuple[object, ...], set[str]] = {}
    for cell in cells:
        by_share.setdefault(tuple(values_of(cell, parameters[:2])), set()).add(verdict(cell))
    for cell in cells:
        values = [*map(word, values_of(cell, parameters))]
        is_alike = len(by_share[tuple(values_of(cell, parameters[:2]))]) == 1
        if cell.is_ruled_out and is_alike:
            values[2:] = ["any"] * len(values[2:])
        numbers = ("-" if x is None else f"{x:,.0f}" for x in _figures(cell)[1:])
        yield (*values, verdict_of(cell), *numbers)


def _shortest(cell: Cell) -> str:
    """Return the verdict in the fewest characters."""
    return SHORTEST[cell.outcome] + " ~" * cell.is_close


def _head(parameter: str) -> str:
    """Return the head of a parameter's column; the place is that of a service.

    >>> _head("vllm.max_num_seqs"), _head("stt.place")
    ('max\\nnum\\nseqs', 'speech\\nplace')
    """
    service, _, option = parameter.partition(".")
    if option == PLACE:
        return f"{service_name(service)}\n{option}"
    return SHORT.get(parameter, option.replace("_", "\n"))


def _width(heads: Sequence[str], rows: Sequence[Sequence[str]], gap: int) -> int:
    """Return how many characters a row takes."""
    columns = zip(heads, *rows, strict=True)
    widths = (max(map(len, (*head.split("\n"), *values))) for head, *values in columns)
    return sum(widths) + gap * (len(heads) - 1)


def telling(cells: Sequence[Cell]) -> tuple[str, ...]:
    """Return the parameters that change a figure, share and speech model first."""
    telling = varied(cells)
    for name in telling[2:]:
        others = tuple(p for p in telling if p != name)
        by_others: dict[tuple[object, ...], set[object]] = {}
        for cell in cells:
            by_others.setdefault(tuple(values_of(cell, others)), set()).add(_figures(cell))
        if all(len(figures) == 1 for figures in by_others.values()):
            telling = others
    return telling


def distinct(cells: Sequence[Cell], parameters: Sequence[str]) -> list[Cell]:
    """Return one cell for each combination of values."""
    by_values = {tuple(values_of(cell, parameters)): cell for cell in reversed(cells)}
    return list(reversed(by_values.values()))


def values_of(cell: Cell, parameters: Sequence[str]) -> list[object]:
    """Return a cell's values of some parameters; a dash for one that it does not have."""
    return [cell.allocation.values.get(name, "-") for name in parameters]


def _figures(cell: Cell) -> tuple[Any, ...]:
    """Return the verdict and the four figures of a row."""
    free_mib = None if cell.free_mib is None else round(cell.free_mib)
    return (verdict(cell), cell.kv_tokens, cell.longest_tokens, cell.at_once, free_mib)


def word(value: object) -> str:
    """Return a value as the table shows it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


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
