"""`python -m objectives.capacity` reads the replies of ramps and prints their capacity."""

import gzip
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from made.ramps import line, replies

from objectives.capacity.__main__ import main
from objectives.capacity.ramp_rate import RampRate

RAMPS = Path(__file__).parent / "ramps"
LIMITS = ["--limit", "stt_ms=1000", "--limit", "ttft_ms=2000", "--limit", "tpot_ms=100"]
RATE = RampRate(1, 12, 120)


def written(path, lines):
    path.write_text("".join(json.dumps(fields) + "\n" for fields in lines))
    return path


def shown(capsys, *arguments):
    assert main([str(a) for a in arguments]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return json.loads(out)


def refusal(capsys, *arguments):
    """Return the one line that a refused command prints."""
    try:
        code = main([str(a) for a in arguments])
    except SystemExit as end:  # argparse's way
        code = end.code
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: ")
    return err


@pytest.mark.parametrize(
    ("name", "points", "completed_per_s"),
    [
        ("eager-share-a", [3.34, 3.15], 3.0),
        ("graphs-share-a", [5.08, 5.08], 4.25),
        ("eager-share-b", [5.19, 5.09], 4.6),
        ("graphs-share-b", [6.60, 6.60], 5.5),
    ],
)
def test_the_ramps_of_the_h200_show_what_was_told_of_them(capsys, name, points, completed_per_s):
    """The completions were told as the highest of two ramps, counted at whole tens of seconds."""
    capacity = shown(capsys, RAMPS / f"ramp-{name}.jsonl.gz", "--rate", "1:8:90", *LIMITS)
    assert [round(r["turns_per_s"], 2) for r in capacity["ramps"]] == points
    assert capacity["turns_per_s"] == pytest.approx((points[0] * points[1]) ** 0.5, rel=2e-3)
    assert capacity["completed_per_s"] == pytest.approx(completed_per_s, rel=0.03)
    assert capacity["capacity_turns_per_s"] == capacity["completed_per_s"]
    assert (capacity["bound_by"], capacity["turns"]) == ("ttft_ms", 762)
    assert capacity["bracket"][0] <= capacity["turns_per_s"] < capacity["bracket"][1]
    assert capacity["enough_turns"] is (name != "eager-share-a")


def test_the_limits_left_out_are_those_of_a_voice_assistant(capsys):
    path = RAMPS / "ramp-graphs-share-b.jsonl.gz"
    named = shown(capsys, path, "--rate", "1:8:90", *LIMITS)
    assert shown(capsys, path, "--rate", "1:8:90") == named | {
        "bound_by": "llm_ttft_p95_ms",
        "ramps": [r | {"bound_by": "llm_ttft_p95_ms"} for r in named["ramps"]],
    }


def test_tighter_limits_show_no_more(capsys):
    path = RAMPS / "ramp-graphs-share-a.jsonl.gz"
    rates = [
        shown(capsys, path, "--rate", "1:8:90", "--limit", f"ttft_ms={ms}")["turns_per_s"]
        for ms in (300, 500, 1000, 2000, 4000)
    ]
    known = [f or 0.0 for f in rates]
    assert known == sorted(known) and known[0] < known[-1]


def test_a_tight_limit_is_what_bounds(capsys):
    path = RAMPS / "ramp-graphs-share-a.jsonl.gz"
    capacity = shown(capsys, path, "--rate", "1:8:90", "--limit", "stt_ms=1")
    assert capacity["turns_per_s"] is capacity["completed_per_s"] or capacity["turns_per_s"] is None
    assert (capacity["bound_by"], capacity["concurrent_capacity"]) == ("stt_ms", None)
    assert capacity["bracket"][0] is None
    capacity = shown(capsys, path, "--rate", "1:8:90", "--limit", "tpot_ms=14")
    assert capacity["bound_by"] == "tpot_ms"


def test_a_file_of_one_service_is_judged_by_what_it_has(capsys, tmp_path):
    lines = replies(5.0, RATE)
    llm = written(tmp_path / "llm.jsonl", [x for x in lines if x["service"] == "llm"])
    stt = written(tmp_path / "stt.jsonl", [x for x in lines if x["service"] == "stt"])
    capacity = shown(capsys, llm, "--rate", "1:12:120")
    assert capacity["bound_by"] == "llm_ttft_p95_ms"
    assert capacity | {"bound_by": "ttft_ms"} == {
        k: v if k != "ramps" else capacity[k]
        for k, v in shown(capsys, llm, "--rate", "1:12:120", *LIMITS[2:]).items()
    }
    assert shown(capsys, stt, "--rate", "1:12:120")["bound_by"] == "generator"
    assert "no request of stt is in this file" in refusal(
        capsys, llm, "--rate", "1:12:120", *LIMITS
    )
    assert "this turn was due" in refusal(capsys, llm, "--rate", "1:12:60")


def test_the_order_of_lines_and_gzip_change_nothing(capsys, tmp_path):
    lines = [*replies(5.0, RATE, seed=1, ramp=0), *replies(5.0, RATE, seed=2, ramp=1)]
    in_order = written(tmp_path / "a.jsonl", lines)
    random.Random(1).shuffle(lines)
    shuffled = tmp_path / "b.jsonl.gz"
    shuffled.write_bytes(gzip.compress(("\ufeff" + "\r\n\n".join(map(json.dumps, lines))).encode()))
    capacity = shown(capsys, in_order, "--rate", "1:12:120", *LIMITS)
    assert shown(capsys, shuffled, "--rate", "1:12:120", *LIMITS) == capacity
    assert [r["seed"] for r in capacity["ramps"]] == [1, 2]


def test_the_growth_of_the_rate_is_linear_unless_said(capsys, tmp_path):
    rate = RampRate(1, 16, 100, "geometric")
    path = written(tmp_path / "a.jsonl", replies(5.0, rate))
    geometric = shown(capsys, path, "--rate", "1:16:100", "--growth", "geometric", *LIMITS)
    untold = shown(capsys, path, "--rate", "1:16:100", *LIMITS)
    assert geometric["capacity_turns_per_s"] == pytest.approx(5.0, rel=0.1)
    assert untold == shown(capsys, path, "--rate", "1:16:100", "--growth", "linear", *LIMITS)
    assert untold["turns_per_s"] > geometric["turns_per_s"]


def test_more_pause_is_more_users(capsys):
    path = RAMPS / "ramp-graphs-share-a.jsonl.gz"
    sessions = [
        shown(capsys, path, "--rate", "1:8:90", "--pause", s)["concurrent_capacity"]
        for s in (0, 1, 11)
    ]
    assert sessions[0] < sessions[1] < sessions[2]


def test_a_lone_turn_and_a_rate_of_nothing_are_answered(capsys, tmp_path):
    lone = written(tmp_path / "a.jsonl", [line("stt", 0.0, 0.1, 0.1, None)])
    capacity = shown(capsys, lone, "--rate", "0:8:90", "--limit", "stt_ms=1000")
    assert (capacity["turns_per_s"], capacity["bound_by"], capacity["turns"]) == (
        0.0,
        "generator",
        1,
    )
    failed = written(tmp_path / "b.jsonl", [line("llm", 0.0, None, None, None, error="refused")])
    capacity = shown(capsys, failed, "--rate", "1:8:90", "--limit", "ttft_ms=1000")
    assert (capacity["turns_per_s"], capacity["bound_by"]) == (None, "failed_requests")


@pytest.mark.parametrize(
    "odd",
    [
        "nonsense",
        "[1, 2]",
        "null",
        "[" * 100_000,
        '{"service": "stt"}',
        '{"service": ["stt"], "scheduled_s": 1}',
        '{"service": "stt", "scheduled_s": "1"}',
        '{"service": "stt", "scheduled_s": true}',
        '{"service": "stt", "scheduled_s": NaN}',
        '{"service": "stt", "scheduled_s": -1}',
        '{"service": "stt", "scheduled_s": 1' + "0" * 400 + "}",
        '{"service": "stt", "scheduled_s": 1' + "0" * 5000 + "}",
        '{"service": "stt", "scheduled_s": 2, "end_s": 1}',
        '{"service": "llm", "scheduled_s": 1, "first_s": 3, "end_s": 2}',
        '{"service": "llm", "scheduled_s": 1, "tokens": 1.5}',
        '{"service": "llm", "scheduled_s": 1, "tokens": -1}',
        '{"service": "llm", "scheduled_s": 1, "error": 500}',
        '{"service": "llm", "scheduled_s": 1, "ramp": "first"}',
        '{"service": "llm", "scheduled_s": 1, "ramp": Infinity}',
        '{"service": "llm", "scheduled_s": 1, "turn": 4}',
        '{"service": "stt", "scheduled_s": 9000}',
    ],
)
def test_an_odd_line_is_named(capsys, tmp_path, odd):
    path = tmp_path / "a.jsonl"
    good = json.dumps(line("stt", 0.5, 0.6, 0.6, None, seed=None))
    path.write_text(f"{good}\n\n{odd}\n")
    error = refusal(capsys, path, "--rate", "1:8:90", "--limit", "stt_ms=1000")
    named = 1 if '"turn"' in odd else 3  # there the line without a number is the odd one
    assert error.startswith(f"error: {path}:{named}: ")
    assert len(error) < 400


@pytest.mark.parametrize("turns", [(0, 0), (3, 3)], ids=str)
def test_a_second_request_of_a_service_in_one_turn_is_refused(capsys, tmp_path, turns):
    lines = [line("stt", 0.1 * n, 0.5, 0.5, None, turn=turn) for n, turn in enumerate(turns)]
    path = written(tmp_path / "a.jsonl", lines)
    error = refusal(capsys, path, "--rate", "1:8:90")
    assert error.startswith(f"error: {path}:2: turn {turns[0]} has a request of stt in line 1 too")


def test_a_file_without_replies_is_refused(capsys, tmp_path):
    path = tmp_path / "a.jsonl"
    for text in ("", "\n \n"):
        path.write_text(text)
        assert f"{path}:1: no reply" in refusal(capsys, path, "--rate", "1:8:90")


def test_what_cannot_be_read_is_refused(capsys, tmp_path):
    whole = gzip.compress(b"{}\n" * 1000)
    for name, data in (
        ("cut.gz", whole[:-9]),
        ("odd.gz", whole[:20] + b"\xff" * 30),
        ("b", b"\xff"),
    ):
        (tmp_path / name).write_bytes(data)
        assert "cannot read it" in refusal(capsys, tmp_path / name, "--rate", "1:8:90")
    assert "No such file" in refusal(capsys, tmp_path / "none", "--rate", "1:8:90")
    assert "Is a directory" in refusal(capsys, tmp_path, "--rate", "1:8:90")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--rate", "1:8"],
        ["--rate", "1:8:90:2"],
        ["--rate", "1:eight:90"],
        ["--rate", "8:1:90"],
        ["--rate", "-1:8:90"],
        ["--rate", "0:0:90"],
        ["--rate", "1:8:0"],
        ["--rate", "1:nan:90"],
        ["--rate", "1:inf:90"],
        ["--rate", "0:8:90", "--growth", "geometric"],
        ["--rate", "1:8:90", "--growth", "cubic"],
        ["--rate", "1:8:90", "--limit", "ttft_ms"],
        ["--rate", "1:8:90", "--limit", "ttft_ms=soon"],
        ["--rate", "1:8:90", "--limit", "ttft_ms=0"],
        ["--rate", "1:8:90", "--limit", "wer=5"],
        ["--rate", "1:8:90", "--limit", "stt_ttft_p95_ms=5"],
        ["--rate", "1:8:90", "--limit", "stt_tpot_p95_ms=5"],
        ["--rate", "1:8:90", "--limit", "ttft_ms=5", "--limit", "llm_ttft_p95_ms=6"],
        ["--rate", "1:8:90", "--limit", "embed_latency_p95_ms=6"],
        ["--rate", "1:8:90", "--pause", "-1"],
        ["--rate", "1:8:90", "--pause", "nan"],
        ["--rate", "1:8:90", "--no-such"],
    ],
)
def test_a_wrong_option_is_refused_in_a_line(capsys, arguments):
    refusal(capsys, RAMPS / "ramp-graphs-share-a.jsonl.gz", *arguments)


def test_help_imports_nothing_that_takes_time():
    probe = (
        "import runpy, sys\n"
        "sys.argv = ['capacity', '--help']\n"
        "try:\n    runpy.run_module('objectives.capacity', run_name='__main__')\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "assert not {'numpy', 'scipy'} & sys.modules.keys()\n"
    )
    root = Path(__file__).parents[3]
    ran = subprocess.run(
        [sys.executable, "-c", probe],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(root)},
    )
    assert ran.returncode == 0, ran.stderr
    assert "FROM:TO:SECONDS" in ran.stdout
