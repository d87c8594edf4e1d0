"""Each pair has a slice of a trace of its own, equal in both arms, as long as there is one."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from made.factories import SPEC

from study.confirmation.pairs.arrivals import slices_in_words, traffics_of
from study.confirmation.pairs.next_step import Next
from study.spec.load import load
from study.spec.traffic import WindowTraffic

HEADER = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type"

SERVICES = {
    "llm": {"command": "llm --port {port} {vllm_memory_util}"},
    "stt": {"command": "stt {port} {model}"},
}


def main(folder: Path, seconds: int) -> list[WindowTraffic]:
    rows = [f"{n},m,{100 + n},20,0,x" for n in range(seconds)]
    (folder / "t.csv").write_text("\n".join([HEADER, *rows]))
    workload = {"trace": "t.csv", "format": "burstgpt", "from": 20, "for": 20, "thin": 0.5}
    whole = {**SPEC, "measure": "live", "services": SERVICES, "workload": workload}
    (folder / "spec.yaml").write_text(yaml.safe_dump(whole))
    return [WindowTraffic("main", load(folder / "spec.yaml").workload)]


def lines(step: Next, of: list[WindowTraffic]) -> set[int]:
    [traffic] = traffics_of(step, of)
    assert traffic.workload.trace is not None
    return {a.line for a in traffic.workload.trace.arrivals}


def test_pairs_replay_other_slices_than_the_study_and_than_each_other(tmp_path: Path) -> None:
    of = main(tmp_path, 400)
    slices = [lines(Next("ab", n), of) for n in range(1, 13)]
    own = of[0].workload.trace
    assert own is not None
    slices.append({a.line for a in own.arrivals})
    assert all(len(s) == 10 for s in slices)
    assert len(set.union(*slices)) == 130
    assert lines(Next("ab", 3), of) == slices[2]


def test_pairs_have_seeds_of_their_own(tmp_path: Path) -> None:
    of = main(tmp_path, 400)
    steps = [Next("aa", 1), Next("ab", 1), Next("ab", 2)]
    assert len({traffics_of(step, of)[0].workload.seed for step in steps}) == 3


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (400, "main: each of the 12 pairs replays another slice of the trace"),
        (101, "main: its trace has 4 other slices for 12 pairs: some are replayed again"),
        (50, "main: its trace has 1 other slice for 12 pairs: some are replayed again"),
    ],
)
def test_a_trace_that_is_too_short_for_the_pairs_is_told(
    tmp_path: Path, seconds: int, message: str
) -> None:
    [line] = slices_in_words(main(tmp_path, seconds), 12)
    assert line.startswith(message)


def test_without_another_slice_pairs_replay_the_studys_own_by_other_seeds(tmp_path: Path) -> None:
    of = main(tmp_path, 50)
    (tmp_path / "t.csv").write_text(
        "\n".join([HEADER, "0,m,9,9,9,x", *(f"{n},m,{100 + n},20,0,x" for n in range(20, 50))])
    )
    [line] = slices_in_words(of, 12)
    assert "main: its trace has no other slices: all pairs replay the study's own" in line
    first, second = lines(Next("ab", 1), of), lines(Next("ab", 2), of)
    assert first != second
    assert first | second <= set(range(2, 33))
