"""These tests name a journal that holds what no confirmation writes: one line says what and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made.factories import STRESS, pair

from objectives.capacity.ramp_range import RampRange
from objectives.errors import BadInput
from study.confirmation.journal import JOURNAL_FILE, continued, read_journal, write_journal
from study.confirmation.journal_checks import differences
from study.confirmation.records import Head, PairsJournal

HEAD = Head(
    promotion="p",
    claim="either",
    workloads={"main": "m"},
    servers={"llm command of the winner": "serve"},
    product="x",
    total_mib=1000,
    aa_pairs=1,
)
Lines = list[dict[str, Any]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    pairs = [replace(pair(n, {}, {}), seed=n) for n in (1, 3, 5)]
    journal = PairsJournal(
        head=HEAD, ramp_ranges={"main": RampRange(0.5, 25.0)}, stress=STRESS, pairs=tuple(pairs)
    )
    write_journal(journal, tmp_path)
    assert continued(tmp_path / JOURNAL_FILE, HEAD, is_taken=True) == journal
    return tmp_path / JOURNAL_FILE


def put(*keys: str | int, value: Any) -> Callable[[Lines], None]:
    """Return what sets one value, by its keys from the lines down."""

    def change(lines: Any) -> None:
        for key in keys[:-1]:
            lines = lines[key]
        lines[keys[-1]] = value

    return change


def copied(**changes: Any) -> Callable[[Lines], None]:
    return lambda lines: lines.append(lines[-1] | changes)


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (put(0, "head", value=None), ":1: .*fields are not those"),
        (put(0, "head", "limits", value=None), r":1: .*head\.limits cannot be 'None'"),
        (put(0, "head", "servers", value=[1]), r"head\.servers cannot be"),
        (put(0, "head", "workloads", "main", value=5), r"head\.workloads\.main cannot be '5'"),
        (put(0, "head", "total_mib", value="x"), r"head\.total_mib cannot be 'x'"),
        (put(0, "head", "total_mib", value=float("nan")), r"head\.total_mib cannot be 'nan'"),
        (put(0, "head", "total_mib", value=10**400), "cannot read these pairs"),
        (put(0, "ramp_ranges", value=[1]), ":1: .*fields are not those"),
        (put(0, "ramp_ranges", "main", "doubling_s", value=True), "doubling_s cannot be 'True'"),
        (put(0, "stress", "free_memory_mib", value="x"), "free_memory_mib cannot be 'x'"),
        (put(0, "left_out", value=[[1]]), "left_out cannot be"),
        (put(0, "earlier", value=None), "earlier cannot be 'None'"),
        (put(0, "earlier", value=-1), "-1 confirmations"),
        (put(0, "format", value=3), "it is of format 3"),
        (put(1, "stage", value="x"), r":2: .*pair\.stage cannot be 'x'"),
        (put(1, "stage", value=[1]), r"pair\.stage cannot be"),
        (put(1, "number", value="1"), r"pair\.number cannot be '1'"),
        (put(1, "number", value=0), "numbered from 1"),
        (put(1, "number", value=13), "AB pair 13: no look has more than 12"),
        (put(1, "at", value="yesterday"), "'yesterday' is no time"),
        (put(1, "card", value=None), r"pair\.card cannot be"),
        (put(1, "driver", value=5), r"pair\.driver cannot be"),
        (put(1, "seed", value=1.5), r"pair\.seed cannot be"),
        (put(1, "wall_s", value=-1), "cannot have taken -1 s"),
        (put(1, "launches", value=[]), "two launches, not 0"),
        (put(1, "launches", 0, "role", value="winner"), "AB pair 1 is not one launch of each role"),
        (put(1, "launches", 0, "measured", value={}), "measured under nothing, not main"),
        (put(1, "launches", 0, "measured", value=[1]), "fields are not those"),
        (copied(number=2), "AB pair 2 of .* and AB pair 5 of .* is a copy"),
        (copied(number=2, seed=9), "began at the same time on one card"),
        (copied(number=2, at="2026-11-21T10:00:00"), "share a seed"),
        (copied(wall_s=5.0), "has another AB pair 5"),
    ],
)
def test_what_no_confirmation_writes_is_named_in_one_line(
    file: Path, change: Callable[[Lines], None], refusal: str
) -> None:
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    change(lines)
    file.write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(BadInput, match=refusal) as caught:
        continued(file, HEAD, is_taken=True)
    assert str(caught.value).isprintable()
    assert "--fresh" not in str(caught.value)  # which --take refuses


def test_lines_in_another_order_are_the_same_journal(file: Path) -> None:
    journal, lines = read_journal(file), file.read_text().splitlines()
    file.write_text("\n".join([lines[0], *reversed(lines[1:])]))
    assert continued(file, HEAD) == journal


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        (None, "there is no such file"),
        ("", "it is empty"),
        ("\n", "it is empty"),
        ("hello", ":1: .* no JSON"),
        ("[" * 100_000, ":1: .* no JSON"),
        ("[1]", ":1: .*fields are not those"),
    ],
)
def test_a_file_that_is_no_journal_is_left_out(file: Path, text: str | None, refusal: str) -> None:
    file.unlink()
    if text is not None:
        file.write_text(text)
    with pytest.raises(
        BadInput, match=f"{refusal}.*; leave it out, or take one of this confirmation"
    ):
        continued(file, HEAD, is_taken=True)


def test_a_journal_goes_on_where_the_project_lies_elsewhere_but_not_with_another_server() -> None:
    name, of = "stt command of the winner", "python3 {}objectives/transcriber.py --model {}"
    here, there, other = (
        replace(HEAD, servers={name: of.format(place, model)})
        for place, model in (("/srv/a/", "base"), ("/home/b/", "base"), ("/srv/a/", "tiny"))
    )
    assert [*differences(there, here)] == []
    assert [*differences(other, here)] == [f"another {name}"]
