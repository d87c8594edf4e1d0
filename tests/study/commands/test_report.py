"""Checks which study the command `report` shows, and what it says where none was named."""

from __future__ import annotations

from pathlib import Path

from made.studies import Shared, copied
from processes.commands import run_script


def test_a_report_of_the_study_that_ships_names_the_other_one_that_lies_there(
    shared: Shared, tmp_path: Path
) -> None:
    copied(shared.shipped(), tmp_path)
    assert run_script("report.py", cwd=tmp_path).stderr == ""
    copied(shared.wide(), tmp_path)
    (other,) = (
        file.relative_to(tmp_path)
        for file in tmp_path.glob("artifacts/*/study.db")
        if file.parent.name != "h200_recorded"
    )
    ran = run_script("report.py", cwd=tmp_path)
    assert (ran.returncode, len(ran.stderr.splitlines())) == (0, 1)
    assert ran.stderr.startswith("note: this is the study that ships") and str(other) in ran.stderr
    ran = run_script("report.py", str(other), cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
