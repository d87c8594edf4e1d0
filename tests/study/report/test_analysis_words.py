"""Tests show whether a workload fills the KV cache, and which one is offered instead."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from made.factories import Outcome, cell, changed, make, measurement
from processes.commands import run_script, run_study

from objectives.allocation import Allocation
from objectives.engines.registry import llm_engine
from objectives.measurement import INFINITE, Measurement
from objectives.services import LlmService
from objectives.traffic.slices import sliced
from objectives.traffic.trace import trace
from objectives.traffic.trace_slice import Arrival, TraceOptions
from objectives.traffic.workload import Workload
from study.analysis.cost.interference import by_share
from study.analysis.cost.kv_cache import unfilled_cache
from study.report.analysis_words import cache_warnings, share_table

LOAD = Workload(prompt_tokens=(500, 1500), output_tokens=100, llm_per_s=1.0, window_s=60)


def at(
    share: float, peak: float | None, tokens: int | None = 100_000, **more: object
) -> tuple[Allocation, Measurement]:
    allocation = Allocation({"vllm_memory_util": share, "whisper_model_size": "base"})
    return allocation, measurement(kv_peak_pct=peak, kv_tokens=tokens, **more)


def warnings(
    launches: Iterable[tuple[Allocation, Measurement]], load: Workload, args: Sequence[str]
) -> list[str]:
    return cache_warnings(unfilled_cache(launches, load, llm_engine(LlmService(args=tuple(args)))))


def calm(share: float, size: str) -> Outcome:
    outcome = cell(share, size)
    if isinstance(outcome, Measurement):
        return changed(
            outcome,
            llm_kv_peak_pct=30.0,
            llm_kv_tokens=50_000,
            stt_interference=1.5,
            llm_interference=1.1,
        )
    return outcome


@pytest.mark.parametrize(
    "launches",
    [
        [at(0.4, 50.0), at(0.6, 10.0)],
        [at(0.4, None), at(0.6, None)],
        [at(0.4, 20.0, capacity_bound_by="kv")],
        [],
    ],
    ids=[
        "half full at one share",
        "no server told",
        "a ramp broke at a full cache",
        "nothing measured",
    ],
)
def test_nothing_is_said_where_the_cache_was_pressed_or_is_not_known(launches) -> None:
    assert warnings(launches, LOAD, ()) == []


def test_the_highest_peak_and_the_smallest_cache_count() -> None:
    lines = warnings([at(0.4, 20.0), at(0.4, 40.0), at(0.6, 5.0, 300_000)], LOAD, ())
    assert "never more than 40 % full at any of the 2 shares measured" in lines[0]
    assert "the 100,000 tokens that the cache holds at 40 %" in lines[1]


def test_the_burst_that_is_offered_fills_the_smallest_cache() -> None:
    (_, offer, *_) = warnings([at(0.4, 20.0)], LOAD, ())
    burst, per_s = (
        float(x) for x in re.findall(r"llm_burst: (\d+), llm_per_s: ([\d.]+)", offer)[0]
    )
    requests = trace(replace(LOAD, llm_burst=int(burst), llm_per_s=per_s), clips=1)
    together = [r for r in requests if r.service == "llm"]
    assert len(together) >= burst
    first = [r for r in together if r.at_s == together[0].at_s]
    assert 100_000 < sum(r.prompt_tokens + r.output_tokens for r in first) < 130_000


def test_longer_prompts_are_offered_only_where_the_model_takes_them() -> None:
    def longest(max_model_len: int | None) -> list[str]:
        return re.findall(
            r"prompt_tokens: \[\d+, (\d+)\]",
            " ".join(warnings([at(0.4, 40.0, max_model_len=max_model_len)], LOAD, ())),
        )

    assert longest(4400) == ["4300"]
    assert longest(4399) == []
    assert longest(None) == ["4300"]


def test_an_engine_that_takes_fewer_requests_than_the_burst_is_named() -> None:
    lines = warnings([at(0.4, 20.0)], LOAD, ("--max-num-seqs", "64"))
    assert (
        "one that would, with `--max-num-seqs " in lines[1]
        and "instead of 64: `workload:" in lines[1]
    )
    assert "--max-num-seqs" not in warnings([at(0.4, 20.0)], LOAD, ("--max-num-seqs", "256"))[1]


def test_a_cache_of_unknown_size_gets_no_figures() -> None:
    lines = warnings([at(0.4, 20.0, None)], LOAD, ())
    assert (
        len(lines) == 2
        and "cannot be" not in lines[0]
        and "no workload that fills it can be worked out" in lines[1]
    )


def test_a_share_is_summed_up_by_medians_of_what_was_measured() -> None:
    launches = [
        at(0.4, 20.0, interference_stt=x, interference_llm=None) for x in (1.0, 1.2, 3.0, INFINITE)
    ]
    (summary,) = by_share(launches)
    assert (summary.launches, summary.interference) == (4, {"stt": 1.2, "llm": None})
    _, rows = share_table([summary])
    assert rows == [("40 %", "4", "1.20 x", "-", "20", "100,000")]


def test_the_run_and_the_report_say_it(tmp_path: Path) -> None:
    ran = run_study(make(tmp_path, calm, repeats=1), "--out", tmp_path / "out", "--quiet")
    assert "never more than 30 % full at any of the 4 shares measured" in ran.stdout
    assert "one that would: `workload: {turns_per_s:" not in ran.stdout, "the report has it"
    page = tmp_path / "r.html"
    assert (
        run_script("report.py", tmp_path / "out" / "made" / "study.db", "-o", page).returncode == 0
    )
    text = page.read_text()
    assert "The KV cache was never more than 30 % full" in text
    assert "<h2>Does sharing hurt?</h2>" in text and "1.50 x" in text


def test_a_warning_says_the_one_share_where_there_is_one() -> None:
    assert "at the one share measured" in warnings([at(0.4, 20.0)], LOAD, ())[0]


def test_of_a_trace_more_of_it_is_offered() -> None:
    arrivals = [Arrival(float(n), 900, 100, line=n + 1) for n in range(60)]
    options = TraceOptions(file="t.csv", format="azure", from_s=0.0, for_s=60.0, thin=0.5)
    own = sliced(arrivals, options, 1, failed=0, sha256="x", block_tokens=0)
    calm = [at(0.4, 20.0), at(0.6, 10.0)]
    for thin, expected in ((0.1, "{thin: 0.55, speed: 1}"), (0.5, "{thin: 1, speed: 2.8}")):
        of = replace(own, options=replace(options, thin=thin))
        lines = warnings(calm, replace(LOAD, trace=of), ())
        assert len(lines) == 2
        assert f"one that would: `workload: {expected}` beside the trace" in lines[1]
