"""A report says whether the largest share that fits, or vLLM's default, would have done."""

from __future__ import annotations

from pathlib import Path

from made.factories import Outcome, make, measurement, oom
from processes.commands import run_study

from study.report.simpler import simpler
from study.report.summary import Summary, summary
from study.storage.find import study_in

SEQS = "vllm.max_num_seqs"
BASELINE = {"vllm_memory_util": 0.5, "whisper_model_size": "base", SEQS: 64}
DEFAULT_UNKNOWN = "vLLM's default share, 92 %, was not measured."


def replayed(folder: Path, p95_ms: dict[float, float], **changes: object) -> Summary:
    """Return a study of these shares beside `base`, None of which fails but at infinity."""

    def cells(share: float, _: str) -> Outcome:
        ms = p95_ms[share]
        return oom() if ms == float("inf") else measurement(llm_latency_p95_ms=ms, **changes)

    space = {"vllm_memory_util": sorted(p95_ms), "whisper_model_size": ["base"]}
    spec = make(folder, cells, repeats=1, changes={"search_space": space})
    assert run_study(spec, "--out", folder / "out").returncode == 0
    return summary(study_in(f"sqlite:///{folder}/out/made/study.db"))


def test_a_winner_that_is_the_largest_share_is_found_by_that_alone(tmp_path: Path) -> None:
    (line,) = simpler(replayed(tmp_path, {0.5: 2500.0, 0.6: 1000.0}))
    assert line == (
        "The largest share that was tried, 60 %, is this one: trying it alone would have found it. "
        + DEFAULT_UNKNOWN
    )


def test_a_smaller_winner_is_set_against_the_largest_that_fits(tmp_path: Path) -> None:
    shares = {0.5: 2500.0, 0.55: 1000.0, 0.6: 2000.0, 0.65: float("inf")}
    (line,) = simpler(replayed(tmp_path, shares, capacity_turns_per_s=None))
    assert line == (
        "The largest share that fits, 60 %, would have come to 11 % less waiting, in 1 launch. "
        "vLLM's default share, 92 %, cannot fit: 65 % ran out of memory."
    )


def test_where_the_baseline_stays_it_is_the_largest_or_the_largest_did_not_beat_it(
    tmp_path: Path,
) -> None:
    (line,) = simpler(replayed(tmp_path / "a", {0.45: 3000.0, 0.5: 2500.0, 0.6: float("inf")}))
    assert line.startswith("The largest share that fits, 50 %, is today's.")
    (line,) = simpler(replayed(tmp_path / "b", {0.5: 2500.0, 0.6: 3000.0}))
    assert line.startswith("The largest share that was tried, 60 %, did not beat today's.")


def test_where_nothing_works_nothing_is_said(tmp_path: Path) -> None:
    lost = make(tmp_path, lambda *_: oom(), repeats=1)
    assert run_study(lost, "--out", tmp_path / "out").returncode == 4
    assert simpler(summary(study_in(f"sqlite:///{tmp_path}/out/made/study.db"))) == []
