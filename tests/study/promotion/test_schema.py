"""A promotion of 0.1 can be read, and neither confirmed nor applied."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from processes.commands import ROOT, run_script

from objectives.allocation import Allocation
from study.confirmation.lookup import confirmation_in
from study.promotion.seal import put, verify

OF_0_1 = ROOT / "tests/data/h100/h100_rejected.yaml"  # as 0.1 wrote it on an H100


def written_by_0_1(folder: Path, status: str) -> Path:
    """Return the real promotion of 0.1 with another status, sealed as its study sealed it."""
    data: dict[str, Any] = yaml.safe_load(OF_0_1.read_text())
    confirmation = data.pop("confirmation")
    data["status"] = status
    if status == "confirmed":
        data["confirmation"] = confirmation | {"verdict": status, "claim": "concurrent_capacity"}
    put(data, folder / "p.yaml")
    return folder / "p.yaml"


@pytest.mark.parametrize("status", ["candidate", "confirmed"])
@pytest.mark.parametrize(
    "words",
    [
        ("promote.py", "apply"),
        ("promote.py", "plan"),
        ("promote.py", "apply", "--i-know"),
        ("confirm.py",),
    ],
    ids=" ".join,
)
def test_it_is_refused_in_one_line_with_the_way_out(
    tmp_path: Path, status: str, words: tuple[str, ...]
) -> None:
    file = written_by_0_1(tmp_path, status)
    ran = run_script(*words, file, cwd=tmp_path)
    assert ran.returncode == 2 and len(ran.stderr.splitlines()) == 1
    assert "it is a promotion of 0.1" in ran.stderr
    assert "measure anew: `python scripts/run_study.py SPEC`" in ran.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["p.yaml"]


def test_the_file_as_0_1_wrote_it_is_refused_too_and_its_seal_and_verdict_are_read() -> None:
    ran = run_script("promote.py", "apply", OF_0_1, "--i-know")
    assert (ran.returncode, "it is a promotion of 0.1" in ran.stderr) == (2, True)
    confirmation = confirmation_in(OF_0_1, Allocation(verify(OF_0_1)["parameters"]))
    assert confirmation is not None and confirmation.summary.startswith("rejected after 4 pairs")
