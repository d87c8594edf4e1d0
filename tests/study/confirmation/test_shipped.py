"""What the pages say of the confirmation that ships can be computed again from its launches."""

from __future__ import annotations

import json
import math
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from processes.commands import ROOT, run_study
from scipy import stats

from objectives.recording import read
from study.confirmation.journal import read_journal
from study.confirmation.lookup import confirmation_beside
from study.promotion.seal import verify
from study.promotion.status import Status
from study.report.headline import sentence
from study.showcase.readme_tables import replayed
from study.spec.load import load
from study.spec.model import Selector

RECORDINGS = Path(str(files("objectives"))) / "recordings"
PAIRS = RECORDINGS / "h200_pairs.jsonl"


def logs_of_claims(launch: dict[str, Any], workload: str) -> dict[str, float]:
    """What each claim compares, as a logarithm in which more is better."""
    measured = launch["measured"][workload]
    logs_ms = [math.log(measured["services"][s]["latency_p95_ms"]) for s in ("stt", "llm")]
    logs = {"latency": -stats.tmean(logs_ms)}
    if measured.get("capacity_turns_per_s"):
        logs["capacity"] = math.log(measured["capacity_turns_per_s"])
    return logs


def test_the_gains_and_their_intervals_are_those_of_the_pairs() -> None:
    """A gain is the mean of the pairs' log-ratios, with a t interval."""
    confirmation = verify(RECORDINGS / "h200_confirmed.yaml")["confirmation"]
    lines = [json.loads(line) for line in PAIRS.read_text().splitlines()[1:]]
    pairs = [
        {launch["role"]: launch for launch in line["launches"]}
        for line in lines
        if line.get("stage") == "ab"
    ]
    held_out = [name for name in confirmation["workloads"] if name != "main"]
    for name, claim in confirmation["claims"].items():
        for told, workloads in (("main", ["main"]), ("mean_of_held_out", held_out)):
            gains = [
                stats.tmean(
                    [
                        logs_of_claims(pair["winner"], workload)[name]
                        - logs_of_claims(pair["baseline"], workload)[name]
                        for workload in workloads
                    ]
                )
                for pair in pairs
            ]
            mean, n = stats.tmean(gains), len(gains)
            interval = stats.t.interval(claim["confidence"], n - 1, mean, stats.sem(gains))
            sign = -1 if name == "latency" else 1  # a latency is told as so much shorter
            pct = [sign * 100 * (math.exp(sign * x) - 1) for x in (mean, *interval)]
            assert [claim[told][f"{k}_pct"] for k in ("gain", "low", "high")] == pytest.approx(
                pct, abs=0.01
            )
    assert len(pairs) == confirmation["pairs"] == 6
    journal = read_journal(PAIRS)
    assert {pair.card for pair in journal.of("ab")} == set(confirmation["cards"])


def test_the_study_that_ships_ends_with_what_its_pairs_confirmed() -> None:
    summary = replayed()
    assert summary.confirmation is not None and summary.confirmation.verdict is Status.CONFIRMED
    assert sentence(summary).startswith("Run with 28.2 % ")
    winner = summary.decision.winner
    assert winner is not None
    recording = read(Path(load(None).measure))
    path = confirmation_beside(recording, winner.allocation, summary.context)
    assert path == RECORDINGS / "h200_confirmed.yaml"
    assert verify(path)["parameters"] == dict(winner.allocation.values)


def test_the_seeds_shares_and_sizes_still_end_with_the_answer_that_they_had(tmp_path: Path) -> None:
    for file in ("tests/specs/h100_recorded.yaml", "tests/data/h100/h100_rejected.yaml"):
        shutil.copy(ROOT / file, tmp_path)
    shutil.copy(RECORDINGS / "h100.jsonl", tmp_path)
    spec = load(tmp_path / "h100_recorded.yaml")
    assert spec.search_space.size == 15 and spec.selector == Selector()
    ran = run_study(tmp_path / "h100_recorded.yaml", "--quiet", "--out", tmp_path / "out")
    assert ran.returncode == 0, ran.stderr
    assert (
        "\nStay with 50 % of the memory for the LLM, beside speech model base: "
        "55 % + base won the study, and fresh launches rejected it.\n"
    ) in ran.stdout
