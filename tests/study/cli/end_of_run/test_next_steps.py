"""Checks what to type next."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from made.factories import make, oom
from made.studies import Shared
from processes.commands import ROOT, run_script, run_study

from study.cli import checkout
from study.cli.checkout import interpreter
from study.cli.end_of_run import next_steps
from study.cli.end_of_run.next_steps import next_commands
from study.cli.parser import PROGRAM


@pytest.fixture(scope="module")
def stdout(shared: Shared) -> str:
    return (shared.finished() / "said.txt").read_text()


def words(line: str) -> list[str]:
    """Return the words of a command that is printed, without what it does."""
    return shlex.split(line, comments=True)


def test_the_next_commands_run(stdout: str, tmp_path: Path) -> None:
    begin = stdout.splitlines().index("Next:")
    *lines, own = stdout.splitlines()[begin + 1 :]
    assert len(lines) == 2
    _, source, _ = shlex.split(own, comments=True)
    assert own.strip().startswith("cp ") and (ROOT / source).is_file()
    for text in lines:
        python, script, *arguments = shlex.split(text, comments=True)
        assert python == interpreter() and (ROOT / script).is_file()
        if script == "scripts/report.py":
            ran = run_script("report.py", *arguments, "-o", tmp_path / "report.html")
            assert (ran.returncode, ran.stderr) == (0, "")


def test_the_default_study_needs_no_name_and_a_password_is_not_shown() -> None:
    [report] = next_commands(
        "sqlite:///artifacts/h200_recorded/study.db", "s", None, is_replay=False
    )[1:]
    assert words(report) == [interpreter(), "scripts/report.py", "--study", "s"]
    assert "secret" not in "".join(
        next_commands("mysql://me:secret@host/db", "s", None, is_replay=True)
    )


def test_a_spec_of_ones_own_is_not_offered_to_be_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert next_commands("sqlite:///s.db", "s", None, is_replay=True)[-1].strip().startswith("cp ")
    (tmp_path / "my_gpu.yaml").touch()
    assert (
        "run_study.py my_gpu.yaml --dry-run"
        in next_commands("sqlite:///s.db", "s", None, is_replay=True)[-1]
    )


def test_nothing_feasible_names_what_to_look_at_next(tmp_path: Path) -> None:
    ran = run_study(make(tmp_path, lambda *_: oom(900.0)), "--out", tmp_path / "out")
    assert ran.returncode == 4 and f"{interpreter()} scripts/report.py" in ran.stdout


@pytest.mark.parametrize(
    ("status", "command"),
    [
        ("candidate", "confirm.py"),
        ("inconclusive", "confirm.py"),
        ("confirmed", "promote.py plan"),
        ("rejected", None),
        ("replay", None),
    ],
)
def test_a_candidate_is_to_be_confirmed_next_and_what_is_confirmed_applied(
    tmp_path: Path, status: str, command: str | None
) -> None:
    file = tmp_path / "made.yaml"
    assert "made.yaml" not in "".join(
        next_commands("sqlite:///s.db", "s", file, is_replay=False)
    ), "there is no file"
    file.write_text(f"schema: 1\nstatus: {status}\n")
    assert "made.yaml" not in "".join(
        next_commands("sqlite:///s.db", "s", file, is_replay=False)
    ), "0.1 wrote it"
    file.write_text(f"schema: 2\nstatus: {status}\n")
    _, *commands = next_commands("sqlite:///s.db", "s", file, is_replay=False)
    lines = [line for line in commands if "made.yaml" in line]
    assert commands[: len(lines)] == lines, "it comes first"
    assert [line.split("#")[0].strip() for line in lines] == (
        [f"{interpreter()} scripts/{command} {file}"] if command else []
    )


def test_the_program_names_its_verbs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(next_steps, "SERVERS", tmp_path / "not_installed")
    monkeypatch.setattr(sys, "argv", [f"{PROGRAM} run"])
    monkeypatch.setattr(checkout.shutil, "which", lambda name: f"/usr/bin/{name}")
    report, install, copy = next_commands("sqlite:///s.db", "s", None, is_replay=True)[1:]
    assert words(report) == [PROGRAM, "report", "s.db", "--study", "s"]
    assert words(install)[1:] == ["scripts/install_cpu_servers.py"], "which is no verb"
    assert words(copy) == ["cp", "study/specs/gpu.yaml", "my_gpu.yaml"]


def test_from_another_folder_the_scripts_are_named_by_their_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    report, install, copy = next_commands("sqlite:///s.db", "s", None, is_replay=True)[1:]
    assert words(report)[1] == str(ROOT / "scripts/report.py")
    assert words(install)[1:] == [
        str(ROOT / "scripts/install_cpu_servers.py"),
        "--into",
        ".servers",
    ], "where the spec looks for them"
    assert words(copy)[1] == str(ROOT / "study/specs/gpu.yaml")


def test_outside_a_checkout_every_command_runs_as_printed(tmp_path: Path) -> None:
    """Run them as a user does who has the package alone, without its repository."""
    installed = tmp_path / "installed"
    installed.mkdir()
    for package in ("objectives", "study"):
        (installed / package).symlink_to(ROOT / package)
    (tmp_path / ".servers/vllm").mkdir(parents=True)

    def run(*line: object) -> str:
        env = {**os.environ, "PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin"}
        ran = subprocess.run(
            list(map(str, line)),
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    stdout = run(sys.executable, "-m", "study", "run", make(tmp_path), "--out", "out")
    lines = stdout.partition("Next:\n")[2].splitlines()
    assert len(lines) == 3 and "scripts/" not in "".join(lines)
    report, dry_run, copy = map(words, lines)
    run(*report)
    assert (tmp_path / "report.html").is_file()
    run(*copy)
    assert (tmp_path / "my_gpu.yaml").read_text() == (ROOT / "study/specs/gpu.yaml").read_text()
    assert (tmp_path / dry_run[-2]).is_file() and "--dry-run" in run(*dry_run, "--help")
