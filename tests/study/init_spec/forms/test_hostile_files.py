"""A unit names files that never end, scripts that run themselves and words that are none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from objectives.errors import BadInput
from study.init_spec.forms.named_text import MOST
from study.init_spec.forms.unit_text import commands_of
from study.init_spec.forms.wrappers import unwrapped
from study.init_spec.sources import read_sources

SERVE = "/usr/bin/vllm serve m --gpu-memory-utilization 0.5"
EXEC = f"ExecStart={SERVE}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "fifo")
    scripts = {
        "again.sh": "HERE/again.sh; HERE/again.sh; HERE/again.sh; HERE/again.sh",
        "sources.sh": "source HERE/sources.sh",
        "evals.sh": 'X=\'eval "$X"\'; eval "$X"',
        "waits.sh": ". HERE/fifo",
        "never.sh": ". /dev/zero",
        "nested.sh": "A='" + "$(" * 50_000 + "dirname'",
    }
    for name, text in scripts.items():
        file = tmp_path / name
        file.write_text(f"#!/bin/bash\n{text.replace('HERE', str(tmp_path))}\nexec {SERVE}\n")
        file.chmod(0o755)
    (tmp_path / "compose.yaml").write_text(
        f"services: {{a: {{image: x, env_file: {tmp_path}/fifo, command: vllm serve m}}}}"
    )
    return tmp_path


def first_words(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text.replace("HERE", str(folder)))
    return " ".join(read_sources([str(folder / name)])[0].argv)


@pytest.mark.parametrize(
    "text",
    [
        f"EnvironmentFile=HERE/fifo\n{EXEC}",
        f"EnvironmentFile=/dev/zero\n{EXEC}",
        f"EnvironmentFile=HERE/a\0b\n{EXEC}",
        f"WorkingDirectory=/a\0b\n{EXEC}",
        "ExecStart=/bin/bash HERE/waits.sh",
        "ExecStart=HERE/waits.sh",
        "ExecStart=HERE/never.sh",
        "ExecStart=HERE/again.sh",
        "ExecStart=HERE/sources.sh",
        "ExecStart=HERE/evals.sh",
        "ExecStart=HERE/nested.sh",
        "ExecStart=/usr/bin/uv run --env-file HERE/fifo vllm serve m",
        "ExecStart=/usr/bin/docker run --env-file HERE/fifo img vllm serve m",
        "ExecStart=/usr/bin/docker run --env-file /dev/zero img vllm serve m",
        f"ExecStart=/usr/bin/docker run -p {'9' * 5000}:{'9' * 5000} img vllm serve m",
        "ExecStart=/usr/bin/docker run --entrypoint 'a img vllm serve m",
        "ExecStart=/usr/bin/docker compose -f HERE/compose.yaml up",
    ],
)
def test_the_server_of_a_hostile_unit_is_found(folder: Path, text: str) -> None:
    words = first_words(folder, "llm.service", f"[Service]\n{text}\n")
    assert "serve m" in words or words.endswith((".sh", "up")), words


@pytest.mark.parametrize(
    ("name", "text", "refusal"),
    [
        ("llm.service", f"[Service]\n{EXEC} {'a' * MOST}\n", "it has 262,144 characters"),
        ("programs.conf", f"[program:a]\ncommand={SERVE}\n{'#' * MOST}\n", "262,144 characters"),
    ],
)
def test_a_text_without_an_end_is_refused(folder: Path, name: str, text: str, refusal: str) -> None:
    with pytest.raises(BadInput, match=refusal):
        first_words(folder, name, text)


def test_a_quote_that_does_not_end_is_read_as_it_is(folder: Path) -> None:
    text = f"[program:a]\ncommand={SERVE} --name 'a\n"
    assert first_words(folder, "programs.conf", text) == f"{SERVE} --name 'a"


@pytest.mark.parametrize("script", ["/tmp/a\0b/x.sh", "/bin/bash /tmp/a\0b.sh"])
def test_a_script_whose_name_has_a_nul_is_not_read(script: str) -> None:
    begun = commands_of([f"[Service]\nExecStart={script}\n"], "llm.service")
    assert [c.script for command in begun for c in unwrapped(command)] in ([None], [])


@pytest.mark.parametrize(
    ("name", "refusal"),
    [
        ("container:", "--unit 'container:' is no unit"),
        ("pid:-1", "--unit 'pid:-1' is no unit"),
        ("/dev/zero", "it is no plain file"),
        ("/none/there.sh", "there is no such file"),
        ("a" * 300, "so long a name"),
        ("pid:999999999", "it does not run"),
    ],
)
def test_a_name_that_starts_nothing_is_refused_by_the_option_that_it_was_given_to(
    name: str, refusal: str
) -> None:
    with pytest.raises(BadInput, match=refusal):
        read_sources([name])
