"""The Dockerfile copies what is there and starts the program that the package installs."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

from study.cli.parser import SCRIPTS

REPOSITORY = Path(__file__).resolve().parents[1]
TEXT = (REPOSITORY / "Dockerfile").read_text()


def test_it_copies_what_the_package_is_built_from_and_nothing_else_reaches_it() -> None:
    copied = [
        w for line in re.findall(r"^COPY (.+) \S+$", TEXT, re.MULTILINE) for w in line.split()
    ]
    assert copied and all((REPOSITORY / word).exists() for word in copied)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert {project["readme"], *project["license-files"], "pyproject.toml"} <= {*copied}
    ignored = (REPOSITORY / ".dockerignore").read_text().split()
    assert {f"!{word}" for word in copied} == {line for line in ignored if line[0] == "!"}


def test_it_starts_a_verb_of_the_installed_program() -> None:
    (entry,) = re.findall(r"^ENTRYPOINT (.+)$", TEXT, re.MULTILINE)
    (verb,) = re.findall(r"^CMD (.+)$", TEXT, re.MULTILINE)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert json.loads(entry)[0] in project["scripts"] and json.loads(verb)[0] in SCRIPTS
