"""A log that nobody meant to write is named or not, in words that every file takes."""

from __future__ import annotations

import pytest

from objectives.diagnosis.diagnose import Diagnosis, diagnose, read_mib


@pytest.mark.parametrize("number", ["1.2.3", ",", ".", "9" * 400, "9" * 5000])
def test_an_amount_that_is_none_leaves_the_failure_without_its_deficit(number: str) -> None:
    log = f"torch.OutOfMemoryError: CUDA out of memory. Tried to allocate {number} GiB. 1 GiB free"
    diagnosis = diagnose(log)
    assert diagnosis is not None
    assert diagnosis.failure_class == "oom_startup"
    assert diagnosis.deficit_mib is None
    assert read_mib({"need": number, "unit": "GiB"}, "need") is None


def test_parts_of_any_length_are_compared() -> None:
    diagnose(f"offloaded {'1' * 5000}/{'2' * 5000} layers to GPU")


def test_evidence_is_what_files_and_terminals_can_spell() -> None:
    evidence = Diagnosis("engine_death", None, None, None, "a \ud800 \x00 \x1b[31mb").evidence
    assert evidence == "a ?    [31mb"
