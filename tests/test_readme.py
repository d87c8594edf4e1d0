"""What the README says exists: its commands and options, metric names, spec keys and failure classes."""

import re
import shlex
import subprocess
import sys
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest
import yaml

from objectives.diagnosis import patterns
from objectives.errors import BadInput
from objectives.measurement import Measurement
from study.spec import load

REPOSITORY = Path(__file__).resolve().parents[1]
TEXT = (REPOSITORY / "README.md").read_text()
SECTIONS = {name: body for name, _, body in (part.partition("\n") for part in TEXT.split("\n## ")[1:])}
COMMANDS = [line.strip() for line in TEXT.splitlines() if line.startswith("    ")]
MINIMAL = {"name": "readme", "search_space": {"vllm_memory_util": [0.4, 0.5]}, "device": "cpu"}


def rows(section: str, table: int = 0) -> list[list[str]]:
    """The cells of a section's table, below its head."""
    tables = re.findall(r"(?:^\|.*\n)+", SECTIONS[section], re.MULTILINE)
    lines = tables[table].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@cache
def help_of(*command: str) -> str:
    done = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    return done.stdout


def options_in(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_names_what_exists(line):
    words = shlex.split(line)
    match words:
        case ["python", "-m", "pip", "install", "-e", what]:
            project = (REPOSITORY / "pyproject.toml").read_text()
            extra = what.partition("[")[2].rstrip("]")
            assert not extra or f"\n{extra} = [" in project
        case ["python", "-m", "pytest"]:
            pass
        case ["cp", source, _]:
            assert (REPOSITORY / source).is_file()
        case ["python", script, *arguments] if script.startswith("scripts/"):
            told = help_of(sys.executable, str(REPOSITORY / script))
            assert options_in(line) <= options_in(told)
            for file in (a for a in arguments if a.startswith("study/")):
                assert (REPOSITORY / file).is_file()
        case ["optuna-dashboard", *_]:
            assert options_in(line) <= options_in(help_of(str(Path(sys.executable).with_name(words[0]))))
        case _:
            pytest.fail(f"no test knows this command: {line}")


@pytest.mark.parametrize("module", sorted(set(re.findall(r"`python -m (objectives\.\w+)", TEXT))))
def test_a_module_that_is_named_as_a_command_is_one(module):
    assert "usage:" in help_of(sys.executable, "-m", module)


def test_the_options_are_those_of_the_command():
    told = options_in(help_of(sys.executable, str(REPOSITORY / "scripts/run_study.py")))
    assert {o for row in rows("The command") for o in options_in(row[0])} == told - {"--help"}


def test_the_metrics_are_fields_of_a_measurement():
    names = [name for row in rows("What is measured") for name in quoted(row[0])]
    assert len(names) >= 25
    assert sorted(set(names)) == sorted(names)
    assert set(names) <= {field.name for field in fields(Measurement)}


def test_the_failure_classes_are_those_of_the_diagnosis():
    names = [name for row in rows("Failures, and what happens") for name in quoted(row[0])]
    assert sorted(names) == sorted(patterns()["outcomes"])


def spec_keys() -> list[str]:
    keys = []
    for key, _, below in rows("The spec"):
        (name,) = quoted(key)
        keys += [name, *(f"{name}.{k}" for k in quoted(below) if "<" not in k)]
    return keys


def complaint(key: str, folder: Path) -> str:
    """What is said about a spec that has this key, with a value that most keys refuse."""
    value: object = {"it": {}}
    path = key.split(".")
    for name in reversed(path):
        value = {name: [value] if name == "tenants" and value != {"it": {}} else value}
    file = folder / "spec.yaml"
    file.write_text(yaml.safe_dump(MINIMAL | value))
    try:
        load(file)
    except BadInput as error:
        return str(error).partition(": ")[2]
    return ""


@pytest.mark.parametrize("key", spec_keys())
def test_a_key_of_the_spec_is_known(key, tmp_path):
    assert not complaint(key, tmp_path).startswith(f"{key}: unknown")


@pytest.mark.parametrize("key", ["samplers", "workload.windows_s", "services.llm.modell", "tenants.gib", "slo.p99"])
def test_a_key_that_is_not_known_would_be_noticed(key, tmp_path):
    assert complaint(key, tmp_path).startswith(f"{key}: unknown")


def test_the_python_of_the_readme_runs(capsys):
    (code,) = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    assert "params={'x': 1, 'y': 1}" in capsys.readouterr().out
