"""The unit of the watch holds for any path."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.deploy.config.deployment import Deployment
from study.deploy.watch import unit
from study.systemd.unit_file import settings, words_of


def test_the_watch_is_given_its_own_paths_whatever_is_in_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "my 100%h study"
    monkeypatch.setattr(unit, "__file__", str(root / "study/deploy/watch/unit.py"))
    deployment = Deployment("voice", {}, path=root / "my deployment.yaml")
    texts = [unit.unit_text(deployment)]
    folder = str(root).replace("%", "%%")
    assert words_of(settings(texts, "Service", "ExecStart")[0])[1:] == [
        f"{folder}/scripts/promote.py",
        "watch",
        "--deployment",
        f"{folder}/my deployment.yaml",
    ]
    assert settings(texts, "Service", "WorkingDirectory") == [folder]
    assert words_of(settings(texts, "Service", "Environment")[0]) == [f"PYTHONPATH={folder}"]
