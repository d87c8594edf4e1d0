"""Giving back goes on where a command hangs or is missing, or the disk refuses, and says so."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from study.service_pause import restore


def promise(folder: Path, *lines: str) -> Path:
    path = folder / "gpu-allocation-lent-x.service"
    path.write_text("\n".join(["[X-Lent]", *lines, ""]))
    return path


def test_a_unit_whose_start_hangs_does_not_keep_the_next_one_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    def run(argv: tuple[str, ...], **options: Any) -> subprocess.CompletedProcess[str]:
        if "start" in argv:
            begun.append(argv[-1])
            if argv[-1] == "a.service":
                raise subprocess.TimeoutExpired(argv, 120)
        return subprocess.CompletedProcess(argv, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    path = promise(tmp_path, "On=a.service", "On=b.service")
    assert "timed out" in restore.give_back(path, ["systemctl"])[0]
    assert begun == ["a.service", "b.service"] and path.exists()


def test_a_promise_that_cannot_be_removed_is_told(tmp_path: Path) -> None:
    (link := tmp_path / "no link").mkdir()
    path = promise(tmp_path, f"Want={link}")
    (problem,) = restore.give_back(path, ["/bin/true"])
    assert f"{link} cannot be removed" in problem
