"""Read a slice of a public trace, and find how much traffic lies beside it.

A file is read line by line from its start to the end of what is asked, so that a week of traffic
needs no more memory than a minute of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from objectives.traffic.public_traces import azure, burstgpt, mooncake, timed_trace
from objectives.traffic.public_traces.fields import csv_fields, json_fields
from objectives.traffic.public_traces.lines import TraceFile
from objectives.traffic.trace_slice import Arrival, Format

MOST_REQUESTS = 100_000  # of a slice
FORMATS: Mapping[Format, ModuleType] = {
    "azure": azure,
    "mooncake": mooncake,
    "burstgpt": burstgpt,
    "timed_trace": timed_trace,
}
OF_CSV = ("azure", "burstgpt")
# what a first line must have, to name the format that a file probably is of
MARKS: Sequence[tuple[tuple[str, ...], Format]] = (
    (azure.COLUMNS, "azure"),
    (burstgpt.COLUMNS, "burstgpt"),
    (("at_s", "service"), "timed_trace"),  # of a capture
    (("timestamp", "input_length", "."), "timed_trace"),
    (("timestamp", "input_length"), "mooncake"),
)


@dataclass(frozen=True, slots=True)
class FileSlice:
    """What a file holds of a time.

    Args:
        arrivals: Its requests, at seconds from the first one of the file.
        failed: How many more there are without a prompt or an answer.
        is_whole: Whether the file goes on after the slice.
        last_s: When the last request that was read came, seconds from the first.
        sha256: The digest of the file up to the end of the slice.
    """

    arrivals: tuple[Arrival, ...]
    failed: int
    is_whole: bool
    last_s: float
    sha256: str


def read_slice(path: Path, format_: Format, begin_s: float, end_s: float) -> FileSlice:
    """Return the requests of a file between two times.

    Args:
        path: The file.
        format_: Its format.
        begin_s: The time of the first, seconds from the file's first request.
        end_s: The time before which the last of them is.

    Raises:
        BadInput: A line is wrong; the error has file and line.
    """
    file, reader = TraceFile(path), FORMATS[format_]
    arrivals, failed, at_s, is_whole = list[Arrival](), 0, 0.0, False
    for at_s, fields in _stamped(file, format_):
        if is_whole := at_s >= end_s:
            break
        if at_s < begin_s:
            continue
        prompt, answer, ids = _parsed(file, reader, reader.sizes, fields)
        if not prompt or not answer:
            failed += 1
            continue
        arrivals.append(Arrival(at_s, prompt, answer, ids, line=file.number))
        if len(arrivals) > MOST_REQUESTS:
            what = f"the slice has more than {MOST_REQUESTS:,} requests"
            raise file.wrong(what, "replay a shorter one (`for`)")
    return FileSlice(tuple(arrivals), failed, is_whole, at_s, file.digest())


def slices_beside(
    path: Path, format_: Format, from_s: float, for_s: float, least: int, most: int
) -> tuple[float, ...]:
    """Return where whole slices as long as one begin that have none of its requests.

    First come those after it, then those before it, the nearest first. One with fewer than so
    many requests is passed over: it would be other traffic.

    Args:
        path: The file.
        format_: Its format.
        from_s: Where the slice begins, seconds from the file's first request.
        for_s: How long it is, seconds.
        least: The fewest requests of a slice.
        most: The most slices that are wanted.

    Raises:
        BadInput: A line is wrong; the error has file and line.
    """
    counts: dict[int, int] = {}
    at_s, able = 0.0, 0
    for at_s, _ in _stamped(TraceFile(path), format_):
        number = int((at_s - from_s) // for_s)
        counts[number] = counts.get(number, 0) + 1
        able += number > 0 and counts[number] == least
        if able > most:  # the last of them need not be whole
            break
    return begins(counts, from_s, for_s, at_s, least)[:most]


def begins(
    counts: Mapping[int, int], from_s: float, for_s: float, last_s: float, least: int
) -> tuple[float, ...]:
    """Return the begins of slices with enough requests, those after slice 0 first.

    Args:
        counts: The requests of each slice by its number, 0 for the one that is not wanted.
        from_s: Where slice 0 begins, seconds.
        for_s: How long each is, seconds.
        last_s: When the last request comes, seconds.
        least: The fewest requests of a slice.
    """
    able = {n: from_s + n * for_s for n in sorted(counts) if n and counts[n] >= least}
    whole = {n: s for n, s in able.items() if s >= 0 and s + for_s <= last_s}
    after = [s for n, s in whole.items() if n > 0]
    return (*after, *reversed([s for n, s in whole.items() if n < 0]))


def _stamped(file: TraceFile, format_: Format) -> Iterator[tuple[float, Mapping[str, Any]]]:
    """Return the time of each line, seconds from the first, with its fields."""
    reader = FORMATS[format_]
    header: Sequence[str] | None = None
    first_s = before_s = None
    for text in file.lines():
        if format_ in OF_CSV and header is None:
            header = _header(file, format_, text)
            continue
        fields = _fields(file, format_, text, header)
        stamp_s = _parsed(file, reader, reader.stamp_s, fields)
        if before_s is not None and stamp_s < before_s:
            what = f"its time is {before_s - stamp_s:g} s before that of the line above"
            raise file.wrong(what, "sort the trace by its times")
        first_s, before_s = stamp_s if first_s is None else first_s, stamp_s
        yield stamp_s - first_s, fields
    if first_s is None:
        raise file.wrong("the trace holds no request", f"a line is such as {reader.EXAMPLE}")


def likely_format(first_line: str) -> Format | None:
    """Return the format that the first line of a file is probably of; None where it is of none.

    >>> likely_format("TIMESTAMP,ContextTokens,GeneratedTokens")
    'azure'
    """
    return next((f for marks, f in MARKS if all(mark in first_line for mark in marks)), None)


def _header(file: TraceFile, format_: Format, text: str) -> list[str]:
    columns: Sequence[str] = FORMATS[format_].COLUMNS
    header = _parsed(file, FORMATS[format_], csv_fields, text)
    names = [name.strip() for name in header]
    if missing := [name for name in columns if name not in names]:
        way_out = f"its first line is to name {', '.join(columns)}"
        if (likely := likely_format(text)) not in (None, format_):
            way_out = f"it looks like `format: {likely}`"
        raise file.wrong(f"the header of {format_} lacks {', '.join(missing)}", way_out)
    return names


def _fields(
    file: TraceFile, format_: Format, text: str, header: Sequence[str] | None
) -> Mapping[str, Any]:
    reader = FORMATS[format_]
    if header is None:
        if file.number == 1 and text[:1] != "{" and (likely := likely_format(text)) is not None:
            raise file.wrong("it is no JSON", f"it looks like `format: {likely}`")
        fields: Mapping[str, Any] = _parsed(file, reader, json_fields, text)
        return fields
    values = _parsed(file, reader, csv_fields, text)
    if len(values) != len(header):
        what = f"it has {len(values)} fields, and the header {len(header)}"
        raise file.wrong(what, f"a line is such as {reader.EXAMPLE}")
    return dict(zip(header, (v.strip() for v in values), strict=True))


def _parsed(file: TraceFile, reader: ModuleType, parse: Callable[[Any], Any], value: Any) -> Any:
    try:
        return parse(value)
    except ValueError as error:
        raise file.wrong(str(error), f"a line is such as {reader.EXAMPLE}") from error
