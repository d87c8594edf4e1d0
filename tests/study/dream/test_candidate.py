"""Checks what becomes of one candidate of a spec, here of a recording."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest
from processes.commands import ROOT

from objectives.errors import SetupError
from study.dream import candidate
from study.dream.candidate import answer_for, state_of
from study.spec.load import load


@pytest.fixture(scope="module")
def spec():
    return load(ROOT / "study/specs/cpu_recorded.yaml")


def test_what_a_candidate_does_not_name_is_as_in_use_today(spec, tmp_path: Path) -> None:
    answer = answer_for(spec, {"whisper_model_size": "tiny.en"}, tmp_path)
    assert answer["parameters"] == {"vllm_memory_util": 0.375, "whisper_model_size": "tiny.en"}
    assert (answer["status"], answer["request_timeout_ms"]) == ("pass", 120_000.0)
    assert answer["figures"]["stt_latency_ms"] > 0


def test_what_runs_out_of_memory_says_so(spec, tmp_path: Path) -> None:
    answer = answer_for(spec, {"vllm_memory_util": 0.6}, tmp_path)
    assert (answer["status"], answer["oom_events"]) == ("fail", 1)
    assert answer["reason"].startswith("oom_budget: ")


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        ({"vllm_memory_util": 0.9}, "outside the bounds 0.3 to 0.7"),
        ({"vllm_memory_util": "much"}, "outside the bounds"),
        ({"vllm_memory_util": True}, "outside the bounds"),
        ({"whisper_model_size": "small"}, "is not one of"),
        ({"temperature": 1}, "temperature is no parameter"),
        ({"vllm_memory_util": 0.41}, "0.41"),
    ],
)
def test_what_lies_outside_the_spec_is_invalid(spec, candidate, reason, tmp_path) -> None:
    answer = answer_for(spec, candidate, tmp_path)
    assert answer["status"] == "invalid" and reason in answer["reason"]
    assert "\n" not in answer["reason"] and "figures" not in answer


def test_the_state_is_that_of_the_specs_device(spec) -> None:
    state = state_of(spec.device)
    assert state["total_mb"] == pytest.approx(state["used_mb"] + state["free_mb"], abs=1)


def test_a_refusal_is_an_answer_whole_and_a_sentence_for_people(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise SetupError("it cannot be opened:\nerror: no driver")

    monkeypatch.setattr(candidate, "LIBC", SimpleNamespace(prctl=lambda *_: 0))
    monkeypatch.setattr(candidate, "load", refuse)
    monkeypatch.setattr(sys, "argv", ["", "my.yaml", "--folder", str(tmp_path), "--state"])
    with pytest.raises(SystemExit) as end:
        candidate.main()
    out, err = capsys.readouterr()
    reason = "it cannot be opened: error: no driver"
    assert json.loads(out) == {"status": "error", "reason": reason}
    assert (end.value.code, err) == (3, "error: it cannot be opened:\nerror: no driver\n")
