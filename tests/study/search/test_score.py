"""Checks how a measurement becomes a value and its constraints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from made.factories import make, measurement, words, write_spec

from objectives.allocation import Allocation
from objectives.diagnosis.diagnosis import Diagnosis
from objectives.diagnosis.log import FailurePhase
from objectives.fitness import Reference
from study.search.score import Score, Scorer, StudyScorer, failure_constraint
from study.spec.load import load
from study.storage.trial import NOT_SHOWN

REFERENCE = Reference({"stt": 800.0, "llm": 2500.0}, 8)


def scored(
    folder: Path, figures: dict[str, Any], *, same_speech: bool = True, **changes: Any
) -> Score:
    make(folder)
    spec = load(write_spec(folder, **changes))
    scorer = Scorer(spec.fitness, spec.gates, spec.workload)
    measured = measurement(**figures)
    usual = measurement().words
    return scorer.score(measured, REFERENCE, usual, heard_alike={"stt"} if same_speech else set())


def test_a_complete_trial_sets_every_constraint_below_0_when_met(tmp_path: Path) -> None:
    score = scored(tmp_path, {}, gates={"free_memory_mib": 1000})
    assert score.is_feasible
    assert score.constraints == pytest.approx(
        {"latency_is_finite": -1.0, "memory": -1 / 6, "free_memory": -1.0, "word_error_rate": 0.0}
    )


@pytest.mark.parametrize("figure", ["stt_latency_p95_ms", "llm_latency_p95_ms"])
@pytest.mark.parametrize("value", [float("inf"), None])
def test_a_latency_without_an_end_is_infeasible_never_fast(
    tmp_path: Path, figure: str, value: float | None
) -> None:
    score = scored(tmp_path, {figure: value})
    assert score.constraints["latency_is_finite"] == 1.0 and not score.is_feasible
    assert score.fitness.contributions[figure[:3]] == 0.0


def test_a_missed_memory_gate_is_points_over_the_gate(tmp_path: Path) -> None:
    score = scored(tmp_path, {"free_memory_mib": 250.0}, gates={"free_memory_mib": 1000})
    assert score.constraints["free_memory"] == 0.75 and not score.is_feasible


def test_failing_words_are_a_constraint_and_words_that_cannot_be_told_are_not(
    tmp_path: Path,
) -> None:
    fails = scored(tmp_path, {"word_errors": words(24, spoken=4)}, same_speech=False)
    assert (fails.word_gate.verdict, fails.is_feasible) == ("fail", False)
    unclear = scored(tmp_path, {"word_errors": words(6)}, same_speech=False)
    assert (unclear.word_gate.verdict, unclear.is_feasible) == ("cannot_tell", True)


@pytest.mark.parametrize(
    ("errors", "spoken", "first", "is_replay", "barred"),
    [
        (24, 4, "base", False, {"word_error_rate", NOT_SHOWN}),  # shown to be worse
        (6, 20, "base", False, {NOT_SHOWN}),  # too few words to tell
        (4, 20, "base", False, set()),  # as good
        (6, 20, "small", False, set()),  # today's words are not known: who knows what they will say
        (6, 20, "base", True, set()),  # a replay saves no time
    ],
)
def test_a_tournament_is_told_what_cannot_be_promoted_for_its_words(
    tmp_path: Path, errors: int, spoken: int, first: str, is_replay: bool, barred: set[str]
) -> None:
    make(tmp_path)
    spec = load(write_spec(tmp_path))
    rule = Scorer(spec.fitness, spec.gates, spec.workload)
    scorer = StudyScorer(rule, spec.baseline, None, is_replay)
    scorer.take(Allocation({**spec.baseline.values, "whisper_model_size": first}), measurement())
    other = Allocation({**spec.baseline.values, "whisper_model_size": "tiny"})
    score = scorer.score(other, measurement(word_errors=words(errors, spoken=spoken)))
    assert {name for name, value in score.for_tournament.items() if value > 0} == barred
    assert score.is_feasible is ("word_error_rate" not in barred), "reports count no words"
    assert not barred or score.for_tournament["kv_cache"] == 0.0, "it was launched"
    same = scorer.score(spec.baseline, measurement(word_errors=words(errors, spoken=spoken)))
    assert not same.is_barred and same.for_tournament == same.constraints


def test_each_service_that_transcribes_has_a_gate_of_its_own(tmp_path: Path) -> None:
    """One that hears as before does not hide that another hears worse."""
    make(tmp_path)
    spec = load(write_spec(tmp_path))
    scorer = StudyScorer(Scorer(spec.fitness, spec.gates, spec.workload), spec.baseline, None)
    today = measurement(notes_latency_p95_ms=9.0, notes_word_errors=words(4))
    values = spec.baseline.values
    deaf = measurement(notes_latency_p95_ms=9.0, notes_word_errors=words(24, spoken=4))
    scorer.take(Allocation({**values, "notes.beams": 5}), today)  # no service of the baseline's
    scorer.take(spec.baseline, today)
    beams = Allocation({**values, "notes.beams": 1})
    score = scorer.score(beams, deaf)
    assert (score.word_gate.verdict, score.is_feasible) == ("fail", False)
    same = scorer.score(spec.baseline, deaf)  # its words cannot differ
    assert (same.word_gate.verdict, same.is_feasible) == ("pass", True)


def test_the_same_speech_passes_whatever_its_words(tmp_path: Path) -> None:
    assert (
        scored(tmp_path, {"word_errors": words(24)}, same_speech=True).word_gate.verdict == "pass"
    )


def test_a_gate_of_0_points_still_grades_the_failure(tmp_path: Path) -> None:
    worse = {"word_errors": words(24, spoken=4)}
    score = scored(tmp_path, worse, same_speech=False, gates={"wer_points": 0})
    assert score.word_gate.verdict == "fail" and score.constraints["word_error_rate"] > 1


def test_fixed_normalisation_is_the_older_one(tmp_path: Path) -> None:
    figures = {
        "stt_latency_ms": 999,
        "llm_latency_ms": 999,
        "concurrent_capacity": 5,
        "gpu_utilization_pct": 90.4,
    }
    assert scored(
        tmp_path, figures, fitness={"normalisation": "fixed"}
    ).fitness.value == pytest.approx(0.309, abs=5e-4)


def test_the_signature_changes_with_weights_and_gates_and_with_nothing_else(tmp_path: Path) -> None:
    make(tmp_path)

    def signature(**changes: Any) -> dict[str, object]:
        spec = load(write_spec(tmp_path, **changes))
        return Scorer(spec.fitness, spec.gates, spec.workload).signature

    assert signature() == signature(budget={"max_candidates": 3}, sampler="tpe")
    assert signature(fitness={"preset": "balanced"}) == signature()
    for changes in (
        {"fitness": {"weights": {"stt": 1}}},
        {"gates": {"wer_points": 2}},
        {"fitness": {"headroom_mib": 1}},
    ):
        assert signature(**changes) != signature()


@pytest.mark.parametrize(
    ("deficit", "total", "expected"),
    [(None, 12_000, 1.0), (600, 12_000, 0.05), (600, None, 1.0), (-5, 12_000, 1.0)],
)
def test_a_failure_is_graded_by_its_share_of_the_device(
    deficit: float | None, total: float | None, expected: float
) -> None:
    assert (
        failure_constraint(Diagnosis("oom_budget", "llm", FailurePhase.START, deficit, ""), total)
        == expected
    )
