"""What is no YAML is told with the line where what is broken begins."""

from __future__ import annotations

import pytest

from study.bounded_yaml import BadYaml, compose

TEXT = """\
a: 1
measure: live
space:
  x: [1, 2]
  y: {b: 1, c: 2}
  llm:
    model: m
    args: ["1"]
    env: it's
"""


@pytest.mark.parametrize(
    ("now", "then", "line", "words"),
    [
        ("model: m", "model: 'm", 7, "the quote that opens here closes in line 9"),
        ("model: m", 'model: "m', 7, "the quote that opens here closes in line 8"),
        ("it's", '"it', 9, "a quote opens here and does not close, which shows in line 10"),
        ("[1, 2]", "[1, 2", 4, "the [ that opens here lacks a comma, or its ], which shows in l"),
        ("c: 2}", "c: 2", 5, "the { that opens here lacks a comma, or its }, which shows in lin"),
        ("b: 1, c", "b: 1\n    c", 5, "the { that opens here lacks a comma, or its }"),
        ("measure: live", "measure:live", 2, "a key has no colon with a space behind it, whi"),
        ("    model", "  model", 8, "it is indented unlike what stands above it, in line 7"),
        ("    model: m", "  model: m  # M", 8, "it is indented unlike what stands above it, in li"),
        ("a: 1", "a: 1: 2", 1, "mapping values are not allowed here"),
    ],
)
def test_what_is_broken_is_told_where_it_begins(now: str, then: str, line: int, words: str) -> None:
    with pytest.raises(BadYaml) as caught:
        compose(TEXT.replace(now, then).encode(), aliases=True)
    assert (caught.value.line, caught.value.what[: len(words)]) == (line, words)
