"""Checks the installed program gpu-allocation: its verbs are the scripts, under shorter names."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from made.factories import make
from made.live_factories import live
from processes.commands import ROOT, run_study

from objectives.errors import SetupError
from study.cli import checkout
from study.cli.parser import PROGRAM, SCRIPTS

DEVELOPERS = {
    "bench_lateness",
    "bench_load",
    "build_optunahub",
    "compare_samplers",
    "install_cpu_servers",
    "make_models",
    "show_live",
    "show_recording",
}


ENTRY = "from study.__main__ import main"
EVERY_HELP = f"""
import contextlib, importlib, io, json, sys
{ENTRY}

def output_of(argv, call):
    sys.argv = argv
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
        with contextlib.suppress(SystemExit):
            call()
    return out.getvalue()

texts, verbs, names = {{}}, *map(json.loads, sys.argv[1:])
for verb, script in verbs.items():
    of_verb = output_of(["/usr/bin/{PROGRAM}", verb, "--help"], main)
    output_of(["/usr/bin/{PROGRAM}", verb, "--no-such"], main)
    slow = [m for m in names if m in sys.modules]
    of_script = importlib.import_module("study.commands." + script).main
    texts[verb] = of_verb, output_of(["scripts/" + script + ".py", "--help"], of_script), slow
print(json.dumps(texts))
"""
SLOW = ("numpy", "optuna", "sqlalchemy", "rich", "scipy", "jiwer", "httpx", "jinja2")


def run_python(code: str, *words: object, cwd: Path | None = None) -> CompletedProcess[str]:
    """Run an interpreter that imports the commands, to its end.

    They change how the process takes Ctrl-C.
    """
    line = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(line, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def run_program(*words: object, cwd: Path | None = None) -> CompletedProcess[str]:
    """Run the program, to its end."""
    return run_python(f"{ENTRY}; main()", *words, cwd=cwd)


@pytest.fixture(scope="module")
def helps() -> dict[str, tuple[str, str, list[str]]]:
    """Return the help of every verb, that of its script, and the slow modules imported."""
    last = sorted(SCRIPTS.items(), key=lambda item: item[0] == "effects")
    ran = run_python(EVERY_HELP, json.dumps(dict(last)), json.dumps(SLOW))
    assert (ran.returncode, ran.stderr) == (0, "")
    texts: dict[str, tuple[str, str, list[str]]] = json.loads(ran.stdout)
    return texts


def test_an_installation_has_the_program() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    module, _, name = project["scripts"][PROGRAM].partition(":")
    assert f"from {module} import {name}" == ENTRY


def test_every_script_that_a_user_needs_is_a_verb() -> None:
    assert {p.stem for p in (ROOT / "scripts").glob("*.py")} == {*SCRIPTS.values()} | DEVELOPERS


def test_its_help_and_the_guide_name_every_verb() -> None:
    ran = run_program("--help")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert set(re.findall(rf"^ +{PROGRAM} (\w+) ", ran.stdout, re.MULTILINE)) == set(SCRIPTS)
    guide = (ROOT / "study/guides/commands.md").read_text().partition("\n| command")[0]
    assert set(re.findall(r"`(\w+)`", guide)) == set(SCRIPTS)


@pytest.mark.parametrize("verb", SCRIPTS)
def test_the_help_of_a_verb_is_that_of_its_script_under_its_own_name(
    verb: str, helps: dict[str, tuple[str, str, list[str]]]
) -> None:
    of_verb, of_script, _ = helps[verb]
    old, new = f"\n    python scripts/{SCRIPTS[verb]}.py", f"\n    {PROGRAM} {verb}"
    assert old in of_script and new in of_verb
    assert of_verb == of_script.replace(f"python scripts/{SCRIPTS[verb]}.py", f"{PROGRAM} {verb}")


@pytest.mark.parametrize("verb", sorted(set(SCRIPTS) - {"effects"}))  # its metrics are a report's
def test_help_and_a_wrong_option_import_nothing_that_takes_time(
    verb: str, helps: dict[str, tuple[str, str, list[str]]]
) -> None:
    assert helps[verb][2] == []


@pytest.mark.parametrize(
    ("words", "begin", "name"),
    [
        ((), "the following arguments are required: VERB", ""),
        (("shout",), "argument VERB: invalid choice: 'shout'", ""),
        (("run", "--no-such"), "unrecognized arguments: --no-such", " run"),
        (("promote", "plan"), "the following arguments are required: PROMOTION", " promote plan"),
    ],
)
def test_a_wrong_word_is_one_line_that_names_the_program(
    words: tuple[str, ...], begin: str, name: str
) -> None:
    ran = run_program(*words)
    assert (ran.returncode, ran.stdout, len(ran.stderr.splitlines())) == (2, "", 1)
    assert ran.stderr.startswith(f"error: {begin}")
    assert ran.stderr.endswith(f"; {PROGRAM}{name} --help explains the options\n")


def test_a_verb_does_what_its_script_does(tmp_path: Path) -> None:
    words = (make(tmp_path), "--dry-run", "--out", tmp_path / "out")
    by_verb, by_script = run_program("run", *words), run_study(*words)
    assert (by_verb.returncode, by_verb.stderr) == (
        0,
        "",
    ) and "nothing is launched" in by_verb.stdout
    assert by_verb.stdout == by_script.stdout


@pytest.mark.parametrize("name", SCRIPTS.values())
def test_a_script_calls_its_command_and_nothing_else(name: str) -> None:
    _, _, code = (ROOT / f"scripts/{name}.py").read_text().split('"""')
    lines = [line for line in code.splitlines() if line]
    assert lines[0].startswith("import study.cli.startup")
    assert lines[1] == f"from study.commands.{name} import main" and len(lines) == 4


def test_a_unit_is_not_written_for_a_script_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert checkout.script_path("run_study.py") == ROOT / "scripts/run_study.py"
    monkeypatch.setattr(checkout, "__file__", str(tmp_path / "study/cli/checkout.py"))
    with pytest.raises(SetupError, match="clone the repository"):
        checkout.script_path("run_study.py")


def test_readme_has_the_two_commands_that_set_up_and_run() -> None:
    lines = [line.strip() for line in (ROOT / "README.md").read_text().splitlines()]
    assert "python -m pip install -e . && python scripts/run_study.py" in lines
    assert "python -m pip install -e '.[test]' && python -m pytest" in lines


def test_what_asks_for_no_trial_or_request_imports_nothing_for_one(tmp_path: Path) -> None:
    code = f"""
import sys
import study.deploy.commands, study.init_spec.init_spec
import study.quick.look, study.service_pause.schedule
from pathlib import Path
from study.spec.load import load
load(Path({str(live(tmp_path))!r}))
print({{"optuna", "sqlalchemy"}} & sys.modules.keys())
import study.report.html, study.run
print({{"httpx", "click"}} & sys.modules.keys())
"""
    assert run_python(code, cwd=ROOT).stdout == "set()\nset()\n"
