"""Checks the size of a speech model, from its file and by its name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from made.model_folders import write_whisper_bin

from objectives.errors import SetupError
from objectives.model_files.whisper import file_parameters, named_parameters


def test_the_variables_of_a_file_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    write_whisper_bin(path, (384, 1536), variables=3)
    assert file_parameters(path) == 3 * 384 * 1536


@pytest.mark.parametrize("kept", [0, 3, 17, 40, 1000])
def test_a_file_that_is_cut_short_is_a_sentence(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "model.bin"
    write_whisper_bin(path, (384, 1536), variables=3)
    os.truncate(path, kept)
    with pytest.raises(SetupError, match=r"model\.bin: .*cut short.*hf download"):
        file_parameters(path)


def test_another_file_is_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"PK\3\4" + b"\xff" * 400)
    with pytest.raises(SetupError, match="no model of CTranslate2"):
        file_parameters(path)


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("small", 241.7),
        ("Systran/faster-whisper-large-v3", 1543.5),
        ("Systran/faster-distil-whisper-small.en", 166.0),
        ("mobiuslabsgmbh/faster-whisper-large-v3-turbo", 808.9),
        ("someone/whisper-of-my-own", None),
    ],
)
def test_the_usual_models_are_known_by_name(name: str, millions: float | None) -> None:
    assert named_parameters(name) == (None if millions is None else round(millions * 1e6))
