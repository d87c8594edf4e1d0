"""Checks what a turn reports: what is wrong, and whether it is worth another try."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from made.dream import TOY, dream_file, entry
from processes.commands import ROOT

from study.dream.turns.__main__ import report_of
from study.dream.turns.log import TurnLog
from study.dream.turns.turn_job import Report, TurnEnding, TurnJob

DICT = "def evaluate(c): return {'height': 1, 'ms': 5}"


def turn(
    folder: Path,
    code: str = TOY,
    in_force: str | None = None,
    *,
    is_process: bool = False,
    **changes: object,
) -> Report:
    """Run a turn of the toy; as a process, as the runner does."""
    path = dream_file(folder, entry(**changes), code=code)
    copy = folder / "in_force.yaml"
    copy.write_text(path.read_text())
    if in_force is not None:
        path.write_text(in_force)
    (folder / "log").mkdir(exist_ok=True)
    job = TurnJob(
        config=path,
        in_force=copy,
        name="spica_toy",
        root=folder / "art",
        logdir=folder / "log",
        report=folder / "report.json",
    )
    if not is_process:
        return report_of(job)
    line = [sys.executable, "-m", "study.dream.turns", job.to_text()]
    subprocess.run(line, cwd=ROOT, check=True, timeout=120, stdout=subprocess.DEVNULL)
    report = Report.read(job.report)
    assert report is not None
    return report


def test_a_file_that_is_being_edited_is_not_read(tmp_path: Path) -> None:
    report = turn(tmp_path, in_force="experiments: [", is_process=True)
    assert (report.ending, report.evaluated) == (TurnEnding.RAN, 3)


@pytest.mark.parametrize(
    ("code", "ending", "words"),
    [
        (
            "def evaluate(c): return {'height': True, 'm': 5}",
            TurnEnding.STOPPED,
            "no number for ms",
        ),
        ("def evaluate(c): return {'height': float('nan'), 'ms': 1}", TurnEnding.STOPPED, "height"),
        ("def evaluate(c): raise OSError('no such card')", TurnEnding.RAN, ""),
    ],
)
def test_wrong_names_stop_it_and_failures_do_not(code, ending, words, tmp_path) -> None:
    report = turn(tmp_path, code, evaluator={"path": "toy.py"})
    assert report.ending is ending and words in report.reason


def test_what_may_be_right_again_by_itself_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "art").mkdir()
    (tmp_path / "art/toy").write_text("a file where a folder should be")
    report = turn(tmp_path)
    assert report.ending is TurnEnding.FAILED and "cannot be written" in report.reason
    (tmp_path / "art/toy").unlink()
    assert turn(tmp_path).ending is TurnEnding.RAN


def test_a_log_that_nobody_reads_ends_nothing(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from study.dream.turns.log import TurnLog\n"
        "log = TurnLog(Path(sys.argv[1]), 'a')\n"
        "for n in range(20000): log.line(f'line {n}')\n"
    )
    line = [sys.executable, "-c", code, str(tmp_path / "runner.log")]
    with subprocess.Popen(
        line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"[a] line 0\n"
        process.stdout.close()
        assert process.stderr is not None and process.stderr.read() == b""
        assert process.wait(60) == 0
    assert (tmp_path / "runner.log").read_text().splitlines()[-1].endswith("[a] line 19999")


def test_a_log_that_cannot_be_written_is_shown(tmp_path: Path, capsys) -> None:
    TurnLog(tmp_path / "nowhere/runner.log", "a").line("still there")
    assert capsys.readouterr().out == "[a] still there\n"
