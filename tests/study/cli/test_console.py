"""Checks what a run says, by where it says it.

That is a terminal, a pipe, JSON, and as little as possible.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import sqlite3
import struct
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from termios import TIOCSWINSZ
from typing import Any

import pytest
from made.configurations import launched
from made.factories import BEST, make, write_spec
from made.live_factories import live
from optuna.exceptions import StorageInternalError
from processes.commands import ROOT, command, run_script, run_study
from processes.forks import Forked, script
from sqlalchemy.exc import OperationalError

from objectives.diagnosis.busy import Busy
from objectives.errors import BadInput
from objectives.evaluation import Phase, Step
from objectives.measurement import Measurement
from study.cli.console import Terminal
from study.cli.exit_codes import exiting

SCRIPTS = sorted((ROOT / "scripts").glob("*.py"))
PROGRAM = ROOT / "study/__main__.py"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def on_a_terminal(
    *words: object, columns: int = 80, stdout: int | None = None, is_fork: bool = True
) -> tuple[int, str]:
    """Run a study on a pseudo-terminal, as a fork of this process or by an interpreter.

    Returns its exit code and what it wrote there, escapes left out.
    """
    line = script("run_study.py", *words) if is_fork else command(*words)
    start: Any = Forked if is_fork else subprocess.Popen
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    env = {**os.environ, "TERM": "xterm-256color", "PYTHONWARNINGS": "default"}
    for name in ("NO_COLOR", "COLUMNS"):  # pytest-xdist sets the latter in its workers
        env.pop(name, None)
    running = start(
        line, stdin=theirs, stdout=theirs if stdout is None else stdout, stderr=theirs, env=env
    )
    os.close(theirs)
    output, deadline = b"", time.monotonic() + 120
    while time.monotonic() < deadline:
        if select.select([ours], [], [], 0.2)[0]:
            try:
                output += os.read(ours, 65536)
            except OSError:  # the other end is closed: it has ended
                break
        elif running.poll() is not None:
            break
    os.close(ours)
    return running.wait(timeout=20), ESCAPES.sub("", output.decode()).replace("\r\n", "\n").replace(
        "\r", "\n"
    )


def test_on_a_terminal_a_live_run_shows_its_phases_and_who_holds_the_memory(tmp_path: Path) -> None:
    spec = live(tmp_path, delay_s=0.01)  # long enough to be seen
    words = (spec, "--out", tmp_path / "out", "--n-trials", 1)
    code, output = on_a_terminal(*words, is_fork=False)
    assert code == 0, output
    for phase in ("starting speech", "starting LLM", "each service alone", "loading both"):
        assert re.search(rf"^phase +{phase} \d+ s", output, re.MULTILINE), phase
    assert re.search(r"^trial +0, generation 0, baseline: 1 % \+ base", output, re.MULTILINE)
    assert re.search(r"█ LLM \d+\.\d .*· free \d+\.\d of", output)
    picture = [
        line
        for line in output.splitlines()
        if re.match(r"(trial|phase|memory, GiB|best so far|budget) {2,}", line)
    ]
    assert picture and max(map(len, picture)) <= 80
    assert "Better:" not in output, "there is nothing to compare it with"


def test_on_a_pipe_a_live_run_says_two_lines_more_a_trial_and_no_phases(tmp_path: Path) -> None:
    ran = run_study(live(tmp_path), "--out", tmp_path / "out", "--n-trials", 1)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert (
        "trial 0, generation 0, baseline: 1 % + base begins\ntrial 0: vllm_memory_util=0.01"
        in ran.stdout
    )
    assert re.search(
        r"^  best so far .*; 1 of 1 trials, 1 of 3 configurations; 0:\d\d spent",
        ran.stdout,
        re.MULTILINE,
    )
    assert "\x1b" not in ran.stdout and "starting LLM" not in ran.stdout
    assert "starting LLM" in (tmp_path / "out/made/runner.log").read_text()


def test_a_narrow_terminal_gets_the_answer_between_words_and_commands_whole(
    tmp_path: Path,
) -> None:
    code, output = on_a_terminal(make(tmp_path), "--out", tmp_path / "out", columns=60)
    assert code == 0, output
    answer, _, steps = output.partition("The best candidate is")[2].partition("\nNext:\n")
    assert "\n- Better: 50 % more capacity (12.00 turns/s instead of 8.00;\n  from 1" in answer
    sentences = answer.partition("\nThe winner as a file")[0]
    assert max(map(len, sentences.splitlines())) <= 60
    assert len(steps.strip().splitlines()) == 3


def test_at_the_end_of_a_replay_nothing_of_the_picture_is_left(tmp_path: Path) -> None:
    code, output = on_a_terminal(make(tmp_path), "--out", tmp_path / "out")
    assert code == 0, output
    assert "best so far" not in output.partition("The best candidate is")[2]


def test_json_stays_json_while_errors_go_to_a_terminal(tmp_path: Path) -> None:
    spec, file = make(tmp_path), tmp_path / "said.jsonl"
    with file.open("w") as stdout:
        words = (spec, "--out", tmp_path / "out", "--json")
        code, output = on_a_terminal(*words, stdout=stdout.fileno())
    *trials, last = [json.loads(line) for line in file.read_text().splitlines()]
    assert (code, len(trials)) == (0, 10)
    assert last["best_of_study"]["parameters"] == BEST
    assert "The best candidate is" in output and '"test_id"' not in output


def test_nothing_that_is_told_commands_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    terminal.line("a\x1b[31m b\nc\x07")
    terminal.heading("\x1b]0;title\x07")
    with pytest.raises(SystemExit), exiting():
        raise BadInput("p\x1b[31m\nerror: fake.yaml is no promotion")
    output = capsys.readouterr()
    assert (output.out, output.err) == (
        "a [31m b\nc \n ]0;title \n",
        "error: p [31m error: fake.yaml is no promotion\n",
    )


def test_a_full_disk_is_told_as_such_where_sqlite_misses_its_savepoint_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def failing(what: str) -> OperationalError:
        return OperationalError("SQL", {}, sqlite3.OperationalError(what))

    with pytest.raises(SystemExit) as ended, exiting():
        try:
            try:
                raise failing("database or disk is full")
            finally:
                raise failing("no such savepoint: sa_savepoint_9")
        except OperationalError as error:
            raise StorageInternalError("An exception is raised during the commit.") from error
    assert ended.value.code == 3
    said = "(sqlite3.OperationalError) database or disk is full; state is kept: run again to go on"
    assert capsys.readouterr().err == f"error: {said}\n"


def test_a_busy_machine_is_told_once_and_again_beside_what_was_measured_on_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    terminal, busy = Terminal(), Busy(64.0, None, ("make (process 7)",))
    terminal.phase(Phase(Step.WAITING, busy=busy))
    terminal.phase(Phase(Step.BESIDE_OTHERS, busy=busy))
    for others_pct in (64.0, 3.0, None):
        (trial,) = launched(0, [Measurement(others_cpu_pct=others_pct)]).measured
        terminal.trial(trial)
    waits, stays, beside, *trials = capsys.readouterr().out.splitlines()
    assert waits.startswith("waiting, 30 s at most, since others keep the CPU 64 % busy, most of")
    assert stays.startswith("others keep the CPU 64 % busy, most of it make (process 7): ")
    assert beside.endswith("; others kept the CPU 64 % busy")
    assert len(trials) == 2 and not any("others" in line for line in trials)


def test_quiet_says_the_end_alone(tmp_path: Path) -> None:
    ran = run_study(make(tmp_path), "--out", tmp_path / "out", "--quiet")
    first, answer, better, *_, last = ran.stdout.splitlines()
    assert first.startswith("These numbers were not measured on this machine")
    assert answer.startswith("The best candidate is ") and better.startswith("- Better: ")
    assert last.startswith("  cp "), "what to type next is part of the end"
    assert "\ntrial 0" not in ran.stdout


def test_a_baseline_that_stays_names_what_was_held_back_and_why_also_when_quiet(
    tmp_path: Path,
) -> None:
    make(tmp_path)
    spec = write_spec(
        tmp_path, search_space={"vllm_memory_util": [0.5], "whisper_model_size": ["tiny", "base"]}
    )
    for quiet in ((), ("--quiet",)):
        ran = run_study(spec, "--out", tmp_path / f"out{len(quiet)}", *quiet)
        assert "\nStay with 50 % of the memory" in ran.stdout
        assert "Nothing that may be promoted scored better" in ran.stdout
        assert "Scored higher, but held back: 50 % + tiny: the clips are too few" in ran.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_a_wrong_option_is_one_line_in_the_same_words_everywhere(script: Path) -> None:
    ran = run_script(script.name, "--no-such-option")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert re.fullmatch(
        rf"error: .*; python scripts/{script.name} --help explains the options\n", ran.stderr
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.stem)
def test_the_help_of_every_script_shows_an_example_and_its_exit_codes(script: Path) -> None:
    ran = run_script(script.name, "--help")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert f"\n    python scripts/{script.name}" in ran.stdout
    assert "Exit: 0" in ran.stdout


@cache
def interrupted(program: str) -> tuple[int, str, str]:
    """How a program ends, and what it says."""
    line = [sys.executable, "-c", program]
    ran = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    return ran.returncode, ran.stdout, ran.stderr


@pytest.mark.parametrize("script", [*SCRIPTS, PROGRAM], ids=lambda p: p.stem)
def test_ctrl_c_while_a_script_is_still_importing_leaves_no_traceback(script: Path) -> None:
    """Send the signal as soon as `study.cli.startup` is there.

    A module imported later is the proof.
    """
    stop = (
        "import os, signal, sys; import study.cli.startup; "
        "os.kill(os.getpid(), signal.SIGINT); print('not stopped')"
    )
    assert interrupted(stop) == (130, "", "")
    ours = [
        line
        for line in script.read_text().splitlines()
        if re.match(r"(import|from) (study|objectives)", line)
    ]
    assert ours[0].startswith("import study.cli.startup"), "before anything of ours that takes time"


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_so_does_another_signal(number: int) -> None:
    stop = f"import os; import study.cli.startup; os.kill(os.getpid(), {number}); print('no')"
    assert interrupted(stop) == (130, "", "")


def test_a_reader_that_leaves_ends_nothing() -> None:
    program = (
        "import study.cli.startup, sys\n"
        "print('first', flush=True)\n"
        "sys.stdin.read()\n"
        "for _ in range(10_000): print('more ± ' * 10)\n"
        "print('to be read', file=sys.stderr)\n"
        "sys.exit(7)\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=pipe, stdout=pipe, stderr=pipe, text=True
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == "first\n"
        process.stdout.close()
        process.stdin.close()
        assert process.stderr is not None
        assert process.stderr.read() == "to be read\n"
        assert process.wait(60) == 7


@pytest.mark.parametrize(
    ("script", "option"), [("compare_samplers.py", "--out"), ("build_optunahub.py", "--into")]
)
@pytest.mark.parametrize(
    ("place", "output"),
    [
        ("file", "file is no folder; choose another with {option}"),
        ("file/below", "file/below cannot be made (Not a directory); choose another with {option}"),
        (
            "a\nb",
            "{option} '{folder}/a\\nb' holds characters that cannot be shown; use plain letters",
        ),
        ("a" * 300, "cannot be made (File name too long); choose another with {option}"),
    ],
)
def test_a_place_that_cannot_be_written_is_bad_input(
    tmp_path: Path, script: str, option: str, place: str, output: str
) -> None:
    (tmp_path / "file").write_text("kept")
    arguments = ["--quick"] if script.startswith("compare") else []
    ran = run_script(script, *arguments, option, tmp_path / place)
    assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1)
    assert output.format(option=option, folder=tmp_path) in ran.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
