"""The record of a change keeps its timer by type, and says how it was damaged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from study.deploy.state import pending
from study.deploy.state.dead_man_timer import DeadMan
from study.deploy.state.process_id import ProcessId

CHANGE = pending.Pending(
    "apply", 0, 1, "abc", None, 9.0, 7, 1.0, "boot", ("promote.py",), ("a.service",)
)
THIS = ProcessId(42, 1.5, "boot", ("python", "-m", "study.deploy.dead_man"))


@pytest.mark.parametrize("timer", [None, DeadMan(unit="a-dead-man"), DeadMan(process=THIS)])
def test_a_record_is_read_as_it_was_written(tmp_path: Path, timer: DeadMan | None) -> None:
    change = replace(CHANGE, dead_man=timer)
    pending.write(tmp_path, change)
    assert pending.read(tmp_path) == change


@pytest.mark.parametrize(
    ("text", "timer"), [("pid 42", None), ("a-dead-man", DeadMan(unit="a-dead-man"))]
)
def test_a_record_of_0_1_has_its_timer_as_a_text(
    tmp_path: Path, text: str, timer: DeadMan | None
) -> None:
    pending.write(tmp_path, replace(CHANGE, dead_man=timer))
    file = pending.path_of(tmp_path)
    file.write_text(json.dumps({**json.loads(file.read_text()), "dead_man": text}))
    assert pending.read(tmp_path) == replace(CHANGE, dead_man=timer)


@pytest.mark.parametrize("text", ["{", "[]", '{"kind": "apply"}', '{"colour": 1}'])
def test_a_damaged_record_says_what_is_wrong_and_the_way_out(tmp_path: Path, text: str) -> None:
    file = pending.path_of(tmp_path)
    file.write_text(text)
    with pytest.raises(pending.UnreadableRecord) as error:
        pending.read(tmp_path)
    assert error.value.finding.startswith(f"{file}: it cannot be read (")
    assert str(error.value) == f"{error.value.finding}; run `scripts/promote.py rollback`"
    assert pending.put_aside(tmp_path) and not file.exists()


@pytest.mark.parametrize("line", ["[1]", "5", "null", "{", "[" * 100_000, '"x"', "\ud800"])
def test_a_damaged_line_of_the_log_is_left_out(tmp_path: Path, line: str) -> None:
    pending.note(tmp_path, "figures", {"version": 1})
    with (tmp_path / "events.jsonl").open("ab") as file:
        file.write(line.encode(errors="surrogatepass") + b"\n")
    pending.note(tmp_path, "seen", {})
    assert [e["event"] for e in pending.events(tmp_path)] == ["figures", "seen"]
