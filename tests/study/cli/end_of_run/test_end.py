"""A run ends with one answer: what to run, how much better, what gets worse, what to type next."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from made.factories import Outcome, cell, make, measurement, oom, write_spec
from made.studies import Shared, copied, promotion_in
from processes.commands import run_script, run_study

from objectives.diagnosis.diagnosis import Diagnosis
from objectives.diagnosis.log import FailurePhase
from study.promotion import seal

COLUMNS, ROWS = 80, 25  # of a terminal
Study = Callable[[Shared, Path], str]
OPTIONS = {"vllm.max_num_batched_tokens": 4096, "vllm.max_num_seqs": 64, "whisper.beam_size": 5}


def said(spec: Path, *arguments: object) -> str:
    return run_study(spec, "--out", spec.parent / "out", *arguments).stdout


def a_winner(shared: Shared, _: Path) -> str:
    return (shared.finished() / "said.txt").read_text()


def a_winner_with_options(_: Shared, folder: Path) -> str:
    """Replay a space in which two figures get worse, beside many that are held back."""

    def cells(share: float, size: str) -> Outcome:
        if (share, size) == (0.5, "base"):
            return measurement(llm_ttft_p95_ms=200.0, llm_tpot_ms=6.0, capacity_turns_per_s=None)
        usual = {"llm_latency_p95_ms": 900.0, "capacity_turns_per_s": None}
        return measurement(
            **usual, word_errors=() if size == "tiny" else measurement().words["stt"]
        )

    space = {
        "vllm_memory_util": [0.5, 0.55],
        "whisper_model_size": ["tiny", "base"],
        "vllm.max_num_seqs": [32, 64],
    }
    baseline = {"vllm_memory_util": 0.5, "whisper_model_size": "base", "vllm.max_num_seqs": 64}
    return said(make(folder, cells, changes={"search_space": space, "baseline": baseline}))


def nothing_better(_: Shared, folder: Path) -> str:
    make(folder)
    space = {"vllm_memory_util": [0.45, 0.5], "whisper_model_size": ["base"]}
    return said(write_spec(folder, search_space=space))


def only_held_back_is_better(_: Shared, folder: Path) -> str:
    make(folder)
    space = {"vllm_memory_util": [0.5], "whisper_model_size": ["tiny", "base"]}
    return said(write_spec(folder, search_space=space))


def everything_failed(_: Shared, folder: Path) -> str:
    """Replay a study in which every share fails in its own way, with a long line of the log."""
    classes = ("kv_too_small", "oom_budget", "oom_startup", "oom_runtime_llm", "startup_timeout")

    def cells(share: float, _: str) -> Outcome:
        kind = classes[round(20 * share) - 8]
        return Diagnosis(kind, "llm", FailurePhase.START, 700.0, "RuntimeError: " + "no room " * 99)

    return said(make(folder, cells))


def the_baseline_failed(_: Shared, folder: Path) -> str:
    return said(make(folder, lambda s, n: oom() if s >= 0.5 and n == "base" else cell(s, n)))


def one_trial(_: Shared, folder: Path) -> str:
    return said(make(folder), "--n-trials", 1)


def an_empty_cache(_: Shared, folder: Path) -> str:
    cells = {"kv_peak_pct": 9.0, "kv_tokens": 99_000, "kv_capacity_bound": 40.0}
    return said(make(folder, lambda *_: measurement(**cells)))


def confirmation_of(shared: Shared, folder: Path, **changes: object) -> str:
    """Replay a finished study anew whose winner was confirmed with another verdict."""
    spec = copied(shared.finished(), folder) / "spec.yaml"
    file = promotion_in(folder)
    run_script("confirm.py", file, "--out", folder / "out", cwd=folder)
    data = yaml.safe_load(file.read_text())
    data["confirmation"] |= changes
    seal.put(data, file)
    return said(spec)


def inconclusive(shared: Shared, folder: Path) -> str:
    return confirmation_of(shared, folder)


def confirmed(shared: Shared, folder: Path) -> str:
    return confirmation_of(shared, folder, verdict="confirmed")


def rejected(shared: Shared, folder: Path) -> str:
    reasons = [f"llm_ttft_p95_ms under long_context {n} is worse by more" for n in range(14)]
    return confirmation_of(shared, folder, verdict="rejected", reasons=reasons)


def edited(shared: Shared, folder: Path) -> str:
    """Replay a study anew after somebody wrote into the file of its confirmation."""
    confirmation_of(shared, folder)
    file = promotion_in(folder)
    file.write_text(file.read_text().replace("verdict: inconclusive", "verdict: confirmed"))
    return said(folder / "spec.yaml")


ENDS: dict[Study, str] = {
    a_winner: "The best candidate is 55 % of the memory for the LLM, beside speech model base",
    a_winner_with_options: "The best candidate is ",
    nothing_better: "Stay with 50 % of the memory for the LLM, beside speech model base.",
    only_held_back_is_better: "Stay with 50 % of the memory",
    everything_failed: "No answer: nothing that was launched works.",
    the_baseline_failed: "Run with 45 % of the memory for the LLM, beside speech model base: what",
    one_trial: "Stay with 50 % of the memory",
    an_empty_cache: "Stay with 50 % of the memory",
    inconclusive: "The best candidate is 55 %",
    confirmed: "Run with 55 % of the memory",
    rejected: "Stay with 50 % of the memory for the LLM, beside speech model base: 55 % + base won",
    edited: "The best candidate is 55 %",
}


def text_of(study: Study, shared: Shared) -> str:
    """Return what a study says, made once for all tests; its folder is not named."""

    def write(folder: Path) -> None:
        text = study(shared, folder)
        (folder / "text").write_text(text.replace(f"{folder}/", "").replace(f"{shared.root}/", ""))

    return (shared.folder(f"end-{study.__name__}", write) / "text").read_text()


@pytest.mark.parametrize("study", ENDS, ids=lambda study: study.__name__)
def test_a_run_ends_within_25_lines_with_one_answer(study: Study, shared: Shared) -> None:
    text = text_of(study, shared)
    end = text[text.rindex("\nended: ") + 1 :].splitlines()
    rows = sum(len(textwrap.wrap(line, COLUMNS)) for line in end)
    assert rows <= ROWS, "\n".join(end)
    begin = next(n for n, line in enumerate(end) if line.startswith(ENDS[study]))
    assert "Next:" in end[begin:], "the answer comes first, and then what to type"
    assert sum(line.startswith(("- Better: ", "- Fresh launches")) for line in end) <= 1
    answer = "\n".join(end[begin : end.index("Next:")])
    assert not re.findall(r"smooth|neighbour|probability|\b0\.\d{4}", answer)


def test_what_is_in_use_and_does_not_work_is_said_with_what_works_best(
    shared: Shared,
) -> None:
    text = text_of(the_baseline_failed, shared)
    assert line_of(text, "- In use today") == (
        "- In use today, 50 % + base: pruned: oom_budget, 600 MiB short. "
        "Its log: Free memory is less than desired memory utilization"
    )
    assert line_of(text, "- What it does").startswith(
        "- What it does: speech, 95 % answered within 800 ms; LLM, 95 % answered within 3,000 ms; "
    )
    assert line_of(text, "- The largest share") == (
        "- The largest share that fits, 45 %, is this one: trying it alone would have found it. "
        "vLLM's default share, 92 %, cannot fit: 50 % ran out of memory."
    )


def line_of(text: str, begin: str) -> str:
    (line,) = [x for x in text.splitlines() if x.startswith(begin)]
    return line


def test_the_winner_is_told_by_one_figure_and_by_what_gets_worse(
    shared: Shared,
) -> None:
    text = text_of(a_winner, shared)
    assert line_of(text, "- Better") == (
        "- Better: 50 % more capacity (12.00 turns/s instead of 8.00; "
        "from 1 launch each, so without an interval)."
    )
    assert line_of(text, "- Gets worse") == (
        "- Gets worse (the noise is not known from 1 launch each): nothing by 1 % or more."
    )
    assert line_of(text, "- The largest share") == (
        "- The largest share that fits, 55 %, is this one: trying it alone would have found it. "
        "vLLM's default share, 92 %, cannot fit: 60 % ran out of memory."
    )


def test_what_gets_worse_is_named_the_greatest_change_first(shared: Shared) -> None:
    text = text_of(a_winner_with_options, shared)
    worse = line_of(text, "- Gets worse")
    assert worse.index("each further token") < worse.index("begin to answer")
    assert worse.startswith("- Gets worse (the noise is not known from 1 launch each): LLM, each")
    assert "LLM, each further token, median 4.0 ms more (67 %);" in worse
    assert "- Better: " in text and "% less waiting (the p95 of all services" in text


def test_where_the_baseline_stays_what_scored_higher_and_is_held_back_is_named(
    shared: Shared,
) -> None:
    assert "- Scored higher, but held back: 50 % + tiny: the clips are too few" in (
        text_of(only_held_back_is_better, shared)
    )
    assert "held back" not in text_of(nothing_better, shared)


def test_a_confirmation_that_was_changed_counts_for_nothing_and_is_said(
    shared: Shared,
) -> None:
    text = text_of(edited, shared)
    assert promotion_in(shared.root / "end-edited").name in line_of(
        text, "- A confirmation was not counted: "
    )
    assert "- Fresh launches" not in text
