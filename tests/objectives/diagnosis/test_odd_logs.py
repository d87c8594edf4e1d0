"""A log that nobody meant to write is named or not, in words that every file takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from objectives.diagnosis.diagnose import diagnose, read_mib
from objectives.diagnosis.diagnosis import Diagnosis
from objectives.diagnosis.log import read_log


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


def test_a_log_without_end_is_cut_in_the_middle_which_it_says(tmp_path: Path) -> None:
    path = tmp_path / "llm.log"
    with path.open("wb") as file:
        file.write(b"first\n")
        file.seek(2**33)  # a hole, which takes no disk
        file.write(b"\nCUDA out of memory. last\n")
    text = read_log(path)
    assert text.startswith("first\n")
    assert text.endswith("\nCUDA out of memory. last\n")
    assert "bytes of this log are left out here" in text
    assert len(text) < 2**17  # its one long line is cut too


@pytest.mark.parametrize("line", ["error ", 'File "', "Tried to allocate 1.00 GiB ", "(", "a\n"])
def test_a_long_log_without_a_reason_is_read_to_its_end(line: str, tmp_path: Path) -> None:
    path = tmp_path / "llm.log"
    path.write_text(line * (2**22 // len(line)))
    text = read_log(path)
    assert len(text) < 2**20 + 100
    assert diagnose(text[: 2**16], exit_code=1) is not None  # a rule that goes back takes hours
