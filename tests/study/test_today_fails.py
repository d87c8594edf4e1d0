"""What is in use today does not start, or nothing is: the study still ends with what to run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from made.factories import Outcome, cell, make, measurement, oom, words, write_spec
from processes.commands import run_script, run_study

from study.report.html import html
from study.report.summary import summary
from study.storage.find import study_in

ONE_SIZE = {"vllm_memory_util": [0.45, 0.5, 0.55], "whisper_model_size": ["base"]}


def today_fails(share: float, size: str) -> Outcome:
    """Out of memory with what is in use, 50 % and base; as `cell` beside it."""
    return oom(900.0) if (share, size) == (0.5, "base") else cell(share, size)


def ended(folder: Path, cells: Any, **changes: Any) -> tuple[str, dict[str, Any], Path]:
    """Run a study to its end; return what it said, its promotion, and that file."""
    ran = run_study(make(folder, cells, changes=changes), "--out", folder / "out")
    assert (ran.returncode, ran.stderr) == (0, "")
    (path,) = (folder / "out/made/promotions").glob("*.yaml")
    return ran.stdout, yaml.safe_load(path.read_text()), path


def test_what_does_not_start_is_said_at_once_and_the_answer_is_what_works(tmp_path: Path) -> None:
    answer, promotion, path = ended(tmp_path, today_fails)
    first, line = (
        answer.index(text) for text in ("trial 0: ", "what is in use today does not work")
    )
    assert first < line < answer.index("trial 1: ")
    assert (
        "Run with 55 % of the memory for the LLM, beside speech model base: what is in use today, "
        "50 % + base, does not start."
    ) in answer
    assert "- In use today, 50 % + base: pruned: oom_budget, 900 MiB short. Its log: Free" in answer
    assert "What it does: " in answer and "Scored higher, but held back: 55 % + tiny" in answer
    assert (promotion["baseline"]["vllm_memory_util"], promotion["baseline_works"]) == (0.5, False)
    assert set(promotion["metrics"]) == {"winner", "reference"}
    confirmed = run_script("confirm.py", path, cwd=tmp_path)
    assert confirmed.returncode == 5
    assert "nothing that works is in use, so nothing is compared" in confirmed.stdout
    assert "failed again: oom_budget: Free memory" in confirmed.stdout
    assert "it worked in 2 fresh launches so far" in confirmed.stdout
    refused = run_script("confirm.py", path, "--claim", "latency", cwd=tmp_path)
    assert refused.returncode == 2 and "leave --claim out" in refused.stderr


def test_words_are_held_against_those_of_todays_speech_model_beside_another_share(
    tmp_path: Path,
) -> None:
    def worse(share: float, size: str) -> Outcome:
        if size == "tiny":
            return measurement(word_errors=words(24, spoken=4), llm_latency_p95_ms=100.0)
        return oom() if share == 0.5 else measurement(llm_latency_p95_ms=1000.0 / share)

    made = summary_of(tmp_path, worse)
    assert made.decision.winner is not None
    assert made.decision.winner.allocation.speech == "base"
    tiny = [c for c in made.configurations if c.allocation.speech == "tiny"]
    assert tiny and not any(c.is_feasible for c in tiny)


def test_where_todays_speech_model_never_starts_words_are_held_against_the_first_that_works(
    tmp_path: Path,
) -> None:
    made = summary_of(tmp_path, lambda share, size: oom() if size == "base" else measurement())
    assert made.decision.winner is not None and made.decision.winner.allocation.speech == "tiny"


def summary_of(folder: Path, cells: Any) -> Any:
    ended(folder, cells)
    return summary(study_in(f"sqlite:///{folder}/out/made/study.db"))


@pytest.mark.parametrize("is_start_broken", [False, True])
def test_a_newcomer_has_an_answer_and_no_today(tmp_path: Path, is_start_broken: bool) -> None:
    answer, promotion, _ = ended(
        tmp_path, today_fails if is_start_broken else cell, baseline="none"
    )
    assert (
        "The best candidate is 55 % of the memory for the LLM, beside speech model base." in answer
    )
    assert "- Nothing is in use today: this is what works best of what was tried." in answer
    assert (promotion["baseline"], promotion["baseline_works"]) == (None, None)
    made = summary(study_in(f"sqlite:///{tmp_path}/out/made/study.db"))
    page = html(made)
    assert "in use today:<br>" not in page and "today: 50 %" not in answer
    first = "worked first" if is_start_broken else "tried first"
    assert f"{first}:<br>" in page


def test_a_newcomer_whose_first_try_is_the_best_gets_it(tmp_path: Path) -> None:
    made = make(tmp_path, lambda share, _: measurement(llm_latency_p95_ms=1000 + abs(share - 0.5)))
    write_spec(tmp_path, search_space=ONE_SIZE, baseline="none")
    ran = run_study(made, "--out", tmp_path / "out")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "The best candidate is 50 % of the memory" in ran.stdout
