"""This module reads a slice of a public trace, and tells how much traffic lies beside it.

A file is read line by line from its start to the end of what is asked, so that a week of traffic
needs no more memory than a minute of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from objectives.traffic.public_traces.lines import TraceFile
from objectives.traffic.public_traces.request_lines import RequestLines
from objectives.traffic.trace_slice import Arrival, Format

MOST_REQUESTS = 100_000  # of a slice


@dataclass(frozen=True, slots=True)
class FileSlice:
    """A file slice is what a file holds of a time.

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
    lines = RequestLines(TraceFile(path), format_)
    arrivals, failed, at_s, is_whole = list[Arrival](), 0, 0.0, False
    for at_s, line in lines.stamped():
        if is_whole := at_s >= end_s:
            break
        if at_s < begin_s:
            continue
        prompt, answer, ids = lines.sizes(line)
        if not prompt or not answer:
            failed += 1
            continue
        arrivals.append(Arrival(at_s, prompt, answer, ids, line=lines.file.number))
        if len(arrivals) > MOST_REQUESTS:
            what = f"the slice has more than {MOST_REQUESTS:,} requests"
            raise lines.file.wrong(what, "replay a shorter one (`for`)")
    return FileSlice(tuple(arrivals), failed, is_whole, at_s, lines.file.digest())


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
    for at_s, _ in RequestLines(TraceFile(path), format_).stamped():
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
