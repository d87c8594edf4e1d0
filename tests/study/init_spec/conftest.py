"""This module has a folder with a unit of each kind, in which a relative name is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from rigs.unit_texts import FW, LLM, STT


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with a unit of each kind, in which a relative name is looked for."""
    monkeypatch.chdir(tmp_path)
    for name, text in (("llm.service", LLM), ("stt.service", STT), ("fw.service", FW)):
        (tmp_path / name).write_text(text)
    return tmp_path
