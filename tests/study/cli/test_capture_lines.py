"""What a capture says at its end is what was counted, each thing once, and no more."""

from __future__ import annotations

import math
from pathlib import Path

import yaml

from objectives.capture.lengths import Lengths, Missing
from objectives.capture.tally import MirroredPair, Tally, Timing
from study.cli.capture_lines import REASONS, ending

PATH = Path('/tmp/eve ning\'s "x".jsonl')


def told(tally: Tally) -> str:
    return "\n".join(ending(tally, PATH))


def test_every_reason_has_its_words() -> None:
    assert set(REASONS) == set(Missing) and len(set(REASONS.values())) == len(REASONS)


def test_lengths_are_told_with_their_middle_and_their_most() -> None:
    tally = Tally()
    tally.kept["completions"] += [Lengths(10, 5), Lengths(1000, 50), Lengths(30, 7)]
    tally.kept["transcription"] += [Lengths(seconds=2.0), Lengths(seconds=60.0)]
    text = told(tally)
    assert "3 LLM requests and 2 clips of speech" in text
    assert "prompts: 30 tokens in the middle, 1,000 at most" in text
    assert "answers: 7 tokens in the middle, 50 at most" in text
    assert "speech: 2.0 s in the middle, 60.0 s at most" in text
    assert "not" not in text.partition("in the spec")[0]


def test_what_is_missing_or_less_sure_is_told() -> None:
    tally = Tally(left=1, others=4, unreadable=2)
    tally.kept["completions"].append(Lengths(3, 4, in_pieces=True, by_tokenize=True))
    tally.missing["completions", Missing.UNCOUNTED] = 5
    tally.missing["transcription", Missing.FAILED] = 1
    text = told(tally)
    for part in (
        "5 LLM requests of a length that the server did not tell",
        "--enable-force-include-usage",
        "1 clip of speech failed",
        "1 answer counted in the pieces",
        "1 prompt counted by the server's /tokenize",
        "1 answer as long as it was",
        "4 requests of other paths",
        "2 connections",
    ):
        assert text.count(part) == 1, part


def test_a_mirror_is_compared_with_failures_as_infinitely_late() -> None:
    pairs = [
        MirroredPair("completions", Timing(1.0, 10.0), Timing(2.0, 20.0 + n)) for n in range(19)
    ]
    lost = MirroredPair("completions", Timing(1.0, 10.0), Timing(None, math.inf))
    tally = Tally(pairs=[*pairs, lost, lost], dropped=3, left_out=2)
    tally.kept["completions"].append(Lengths(3, 4))
    lines = [line.split() for line in told(tally).splitlines()]
    assert ["50%", "begun", "within", "1.0", "ms", "2.0", "ms"] in lines
    assert ["95%", "answered", "within", "10.0", "ms", "never"] in lines
    assert ["failed", "0", "2"] in lines
    assert "3 without a copy" in told(tally) and "2 not compared" in told(tally)
    assert "seen once" in told(tally)


def test_the_lines_of_the_spec_are_yaml_whatever_the_file_is_called() -> None:
    tally = Tally()
    tally.kept["completions"].append(Lengths(3, 4))
    _, _, lines = told(tally).partition("in the spec:\n")
    spec = yaml.safe_load(lines)
    assert spec["workload"] == {"trace": str(PATH), "format": "timed_trace"}
    assert spec["workloads"] == [{"name": "eve-ning-s--x", "replay": str(PATH)}]


def test_of_nothing_it_says_so_and_why() -> None:
    tally = Tally(others=3)
    tally.missing["completions", Missing.REFUSED] = 2
    assert ending(tally, PATH) == [
        f"no request was captured, and {PATH} is not written",
        "  not in it: 2 LLM requests refused by the server",
        "  3 requests of other paths, passed and not captured",
    ]
