"""A pattern that is passed over for lack of its words would have matched nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from objectives.diagnosis.needles import may_match, needles_of
from objectives.diagnosis.patterns import patterns, rules

LOGS = Path(__file__).parents[2] / "logs"


def every_pattern() -> Iterator[str]:
    for rule in rules():
        yield from (*rule.regexes, *rule.deficit)
    yield from patterns()["ignore"]
    for part in ("reasons", "phases", "speakers"):
        for regexes in patterns()[part].values():
            yield from regexes


def lines_of_logs() -> list[str]:
    """Return the lines of all real logs, those that differ in numbers alone once."""
    texts = [file.read_text(errors="replace") for file in sorted(LOGS.glob("*.*"))]
    lines = (line for text in texts for line in text.splitlines())
    return [*{re.sub(r"\d+", "0", line): line for line in lines}.values()]


def test_a_pattern_without_its_words_matches_no_line_of_a_real_log() -> None:
    text = "\n".join(lines_of_logs())
    possible = {regex for regex in every_pattern() if may_match(regex, text)}
    matching = {regex for regex in every_pattern() if re.search(f"(?im){regex}", text)}
    assert matching <= possible
    assert matching and len(possible) < len({*every_pattern()}) / 2


@pytest.mark.parametrize(
    ("regex", "needles"),
    [
        ("out of memory", ("out of memory",)),
        ("Out.{0,9}of memory", ("of memory",)),
        ("(?:CUDA|HIP)+ error", (" error",)),
        (r"(?<!no )\b(?:CUDA|HIP)\b", ("cuda", "hip")),
        ("(?:CUDA)?", ()),
        ("(?:CUDA)*", ()),
        (r"(?:CUDA|\d+)", ()),
        ("(?!CUDA)x", ()),
        ("[ab]|CUDA", ()),
        ("aé|bcé", ()),
    ],
)
def test_the_words_of_a_pattern_stand_in_whatever_it_matches(
    regex: str, needles: tuple[str, ...]
) -> None:
    assert needles_of(regex) == needles


def test_letters_that_count_as_those_of_a_pattern_are_known() -> None:
    for text in ("DISK", "d\u0131\u017f\u212a", "D\u0130sk"):
        assert re.search("(?im)disk", text) and may_match("disk", text)


@pytest.mark.parametrize("line", ["error ", 'File "', "Tried to allocate 1.00 GiB ", "(", "a\n"])
def test_no_pattern_goes_back_over_a_long_text(line: str) -> None:
    text = line * (2**14 // len(line))
    for regex in every_pattern():  # one that does takes hours
        assert sum(1 for _ in re.finditer(f"(?im){regex}", text)) <= len(text)
