"""The lines of a trace are requests of one format; a wrong one is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from objectives.errors import BadInput
from objectives.traffic.public_traces import azure, burstgpt, mooncake, timed_trace
from objectives.traffic.public_traces.fields import csv_fields, json_fields, required
from objectives.traffic.public_traces.lines import TraceFile
from objectives.traffic.trace_slice import Format

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


def likely_format(first_line: str) -> Format | None:
    """Return the format that the first line of a file is probably of; None where it is of none.

    >>> likely_format("TIMESTAMP,ContextTokens,GeneratedTokens")
    'azure'
    """
    return next((f for marks, f in MARKS if all(mark in first_line for mark in marks)), None)


@dataclass(slots=True)
class RequestLines:
    """The lines of a trace are requests; those of CSV follow a header.

    Args:
        file: The file.
        format_: Its format.
        header: The names of its columns, once they are read; none where its lines are JSON.
    """

    file: TraceFile
    format_: Format
    header: list[str] = field(default_factory=list)

    def stamped(self) -> Iterator[tuple[float, Any]]:
        """Return the time of each request, seconds from the first, with its line.

        Only the time is parsed yet, as a week of traffic may lie before a slice.
        """
        file, reader, is_csv = self.file, FORMATS[self.format_], self.format_ in OF_CSV
        name, place = reader.COLUMNS[0], 0
        first_s = before_s = None
        for text in file.lines():
            if is_csv and not self.header:
                self.header = self._columns(text)
                place = self.header.index(name)
                continue
            try:
                line: Any = csv_fields(text, len(self.header)) if is_csv else self._json(text)
                stamp_s = reader.stamp_s(line[place] if is_csv else required(line, name))
            except ValueError as error:
                raise self._wrong(error) from error
            if before_s is not None and stamp_s < before_s:
                what = f"its time is {before_s - stamp_s:g} s before that of the line above"
                raise file.wrong(what, "sort the trace by its times")
            first_s, before_s = stamp_s if first_s is None else first_s, stamp_s
            yield stamp_s - first_s, line
        if first_s is None:
            raise file.wrong("the trace holds no request", f"a line is such as {reader.EXAMPLE}")

    def sizes(self, line: Any) -> tuple[int, int, tuple[int, ...]]:
        """Return the tokens of prompt and answer of the line read last, and its hash ids."""
        fields = dict(zip(self.header, line, strict=True)) if self.header else line
        try:
            sizes: tuple[int, int, tuple[int, ...]] = FORMATS[self.format_].sizes(fields)
        except ValueError as error:
            raise self._wrong(error) from error
        return sizes

    def _wrong(self, error: ValueError) -> BadInput:
        return self.file.wrong(str(error), f"a line is such as {FORMATS[self.format_].EXAMPLE}")

    def _columns(self, text: str) -> list[str]:
        columns: Sequence[str] = FORMATS[self.format_].COLUMNS
        names = [name.strip() for name in text.split(",")]
        if missing := [name for name in columns if name not in names]:
            way_out = f"its first line is to name {', '.join(columns)}"
            if (likely := likely_format(text)) not in (None, self.format_):
                way_out = f"it looks like `format: {likely}`"
            raise self.file.wrong(
                f"the header of {self.format_} lacks {', '.join(missing)}", way_out
            )
        return names

    def _json(self, text: str) -> Mapping[str, Any]:
        if self.file.number == 1 and text[:1] != "{" and (likely := likely_format(text)):
            raise self.file.wrong("it is no JSON", f"it looks like `format: {likely}`")
        return json_fields(text)
