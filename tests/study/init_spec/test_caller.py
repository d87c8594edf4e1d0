"""A spec that root writes by sudo belongs to who called it, whose home is looked in."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest
from rigs.unit_texts import read

from study.init_spec.init_spec import InitOptions, write_files

ID = (1234, 5678)


@pytest.fixture
def home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the home of who has called sudo, who is root now and has another."""
    home = folder / "home/me"
    entry = pwd.struct_passwd(("me", "x", *ID, "", str(home), "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwnam", {"me": entry}.__getitem__)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("SUDO_USER", "me")
    monkeypatch.setenv("HOME", str(folder / "root"))
    monkeypatch.setenv("PATH", str(folder))  # no engine is asked
    return home


def test_the_spec_and_its_folders_are_given_to_who_called_sudo_and_the_deployment_is_not(
    folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[str, int, int, bool]] = []

    def chown(path: Path, user: int, group: int, *, follow_symlinks: bool) -> None:
        given.append((path.suffix or path.name, user, group, follow_symlinks))

    monkeypatch.setattr(os, "chown", chown)
    spec = folder / "new/er/my.yaml"
    options = InitOptions(("./llm.service", "./fw.service"), spec, folder / "d.yaml", "my", "cpu")
    write_files(options, print)
    assert given == [(name, *ID, False) for name in (".draft", "er", "new")]
    assert spec.exists() and (folder / "d.yaml").exists() and home.name == "me"


COMPOSE = """
services:
  llm: {image: vllm/vllm-openai, command: --model m, volumes: ["~/a:/a", "${HOME}/b:/b"]}
  stt: {image: ghcr.io/speaches-ai/speaches, environment: {WHISPER__MODEL: base}}
"""
SCRIPT = "#!/bin/bash\nexec docker run -v ~/a:/a -v $HOME/b:/b --user $UID IMAGE --model m\n"


@pytest.mark.parametrize(("name", "text"), [("compose.yaml", COMPOSE), ("run.sh", SCRIPT)])
def test_the_home_of_a_file_is_that_of_who_called_sudo(
    folder: Path, home: Path, name: str, text: str
) -> None:
    text = text.replace("IMAGE", "vllm/vllm-openai")
    others = [] if name == "compose.yaml" else ["stt.service"]
    command = read(folder, name, text, *others).llm.command
    assert f"--volume={home}/a:/a --volume={home}/b:/b " in (command or "")
    assert ("--user=1234 " in (command or "")) is (name == "run.sh")


def test_the_home_in_a_unit_is_that_of_its_user(folder: Path, home: Path) -> None:
    text = 'User=me\nExecStart=/bin/sh -c "exec /opt/v/bin/vllm serve $$HOME/m"'
    assert read(folder, "a.service", text, "stt.service").llm.model == f"{home}/m"


def test_a_speech_model_in_the_cache_of_who_called_sudo_is_named_by_its_folder(
    folder: Path, home: Path
) -> None:
    cache = home / ".cache/huggingface/hub/models--Systran--faster-whisper-tiny"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs/main").write_text("abc")
    (cache / "snapshots/abc").mkdir(parents=True)
    (cache / "snapshots/abc/model.bin").write_text("x")
    start = "ExecStart=/opt/f/bin/faster-whisper-server --model Systran/faster-whisper-base"
    stt = read(folder, "a.service", start, "llm.service").stt
    assert stt.models["tiny"] == str(cache / "snapshots/abc")
    assert stt.choices["tiny"] == "Systran/faster-whisper-tiny"
