"""What a service's entry says and nothing reads, or nothing can be started with, is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from made.live_factories import FAKES, SERVER

from objectives.engines.registry import engine_of
from objectives.errors import BadInput
from study.spec.load import load
from study.spec.model import Spec

SHARE = ["--gpu-memory-utilization", "0.1"]
VLLM = {"api": "chat", "engine": "vllm", "model": "m", "args": SHARE}
LLAMA = {"api": "chat", "engine": "llama_cpp", "model": "m.gguf", "args": ["-c", "4096"]}
CONTEXT = {"OLLAMA_CONTEXT_LENGTH": "4096"}
OLLAMA = {"api": "chat", "engine": "ollama", "model": "q", "env": CONTEXT}
EMBED = {"api": "embeddings", "command": SERVER}
HEARS = {"api": "transcription", "engine": "vllm", "model": "m", "args": SHARE}


def read(folder: Path, options: Any = None, **services: Any) -> Spec:
    """Read a spec in which an option is searched where it is a list, else in use today."""
    (folder / "some.jsonl").touch()
    own = options or {}
    lists = {k: v for k, v in own.items() if isinstance(v, list)}
    today = {k: v[0] if isinstance(v, list) else v for k, v in own.items()}
    changes = {
        "measure": {"recorded": "some.jsonl"},
        "search_space": {**FAKES["search_space"], **lists},
        "baseline": {**FAKES["baseline"], **today},
        "services": {**FAKES["services"], **services},
    }
    path = folder / "keys.yaml"
    path.write_text(yaml.safe_dump({**FAKES, **changes}, sort_keys=False))
    return load(path)


@pytest.mark.parametrize(
    ("services", "words"),
    [
        (
            {"tags": {**VLLM, "vocabulary": 99}},
            "services.tags.vocabulary: nothing reads it: a chat",
        ),
        (
            {"llm": {**FAKES["services"]["llm"], "api": "chat"}},
            "services.llm.vocabulary: nothing reads it: a chat is sent words, and no token ids",
        ),
        (
            {"tags": {**LLAMA, "metrics_path": "/metrics"}},
            "services.tags.metrics_path: nothing reads it: the use of its cache is on /slots",
        ),
        ({"tags": {**OLLAMA, "metrics_path": "/m"}}, "metrics_path: nothing reads it: Ollama has"),
        ({"tags": {**OLLAMA, "served_model": "m"}}, "served_model: nothing reads it: its requests"),
        (
            {"tags": {**OLLAMA, "api": "completions", "vocabulary": 9}},
            "services.tags.vocabulary: nothing reads it: its prompts are words",
        ),
        (
            {"tags": {**VLLM, "env": {"A=B": "1"}}},
            "services.tags.env: 'A=B' cannot name a variable",
        ),
        ({"tags": {**VLLM, "env": {"": "1"}}}, "services.tags.env: '' cannot name a variable"),
        (
            {"embed": {**EMBED, "env": {"A": "1\0"}}},
            "embed.env.A: no program is started with a NUL",
        ),
        ({"tags": {**VLLM, "args": [*SHARE, "a\0"]}}, "services.tags.args: no program is started"),
        ({"stt": {"command": f"{SERVER} \0"}}, "services.stt.command: no program is started with"),
        (
            {"embed": {**EMBED, "command": f"{SERVER} {{model}}"}},
            "services.embed.command: {model} is in it, and no model is named; write the model in",
        ),
        (
            {"llm": {"command": f"{SERVER} {{model}} {{vllm_memory_util}}"}},
            "services.llm.command: {model} is in it, and no model is named",
        ),
        (
            {"tags": {"api": "speech", "engine": "llama_cpp", "program": "p"}},
            "services.tags.api: llama_cpp does not speak speech",
        ),
        (
            {"tags": {k: v for k, v in OLLAMA.items() if k != "model"}},
            "services.tags.model: it is missing; name the model as the engine has it",
        ),
    ],
)
def test_what_nothing_reads_or_starts_is_refused(tmp_path: Path, services: Any, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        read(tmp_path, **services)
    assert words in str(caught.value)


def test_a_model_that_is_named_fills_a_template(tmp_path: Path) -> None:
    command = f"{SERVER} {{model}} {{vllm_memory_util}}"
    spec = read(tmp_path, llm={"command": command, "model": "m"})
    assert "m" in engine_of("llm", spec.services["llm"]).command(spec.baseline, {}).argv


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"embed.foo": 4},
            "baseline.embed.foo: services.embed.command does not name it; write {em",
        ),
        ({"vllm.foo": 4}, "baseline.vllm.foo: services.llm.command does not name it; write {vllm"),
        ({"whisper.foo": 4}, "baseline.whisper.foo: services.stt.command does not name it"),
        ({"tags.max-num-seqs": [4, 8]}, "its name has dashes; write tags.max_num_seqs"),
        ({"tags.max-num-seqs": 4}, "baseline.tags.max-num-seqs: its name has dashes; write tags.m"),
        ({"tags.output_tokens": [4, 8]}, "it is a key of services.tags, and no option of its ser"),
        ({"hears.start_timeout_s": 9}, "it is a key of services.hears, and no option of its serv"),
    ],
)
def test_an_option_that_no_server_gets_is_refused(tmp_path: Path, options: Any, words: str) -> None:
    with pytest.raises(BadInput) as caught:
        read(tmp_path, options, embed=EMBED, tags=VLLM, hears=HEARS)
    assert words in str(caught.value)


def test_a_key_of_speech_is_no_flag_of_vllm(tmp_path: Path) -> None:
    stt = {"engine": "vllm", "args": SHARE, "models": {"base": "m"}}
    message = "beam_size: it is a key of services.stt, and no option of its server; write `beam_"
    with pytest.raises(BadInput, match=message):
        read(tmp_path, {"stt.beam_size": [1, 5]}, stt=stt)


def test_what_an_option_of_a_template_does_to_answers_nobody_knows(tmp_path: Path) -> None:
    command = f"{SERVER} --label {{tags.style}}"
    tags = {"api": "chat", "command": command}
    with pytest.raises(BadInput, match="it may change the answers of tags, whose quality is not"):
        read(tmp_path, {"tags.style": ["a", "b"]}, tags=tags)
    slots = {**tags, "command": command.replace("style", "parallel")}
    assert read(tmp_path, {"tags.parallel": [1, 2]}, tags=slots).search_space.size == 4


def test_a_second_llm_that_ollama_serves_may_unload_its_model_by_itself(tmp_path: Path) -> None:
    asleep = {"resident": False, "woken_by": "keep_alive", "idle_s": 30}
    spec = read(tmp_path, tags={**OLLAMA, **asleep})
    engine = engine_of("tags", spec.services["tags"])
    assert engine.settings(spec.baseline).startswith("OLLAMA_KEEP_ALIVE=30s, woken by keep_alive")
    with pytest.raises(BadInput, match="what serves tags does not unload its model by itself"):
        read(tmp_path, tags={**VLLM, **asleep})


SGLANG = {"api": "chat", "engine": "sglang", "model": "m"}
FRACTION = ["--mem-fraction-static", "0.2"]


@pytest.mark.parametrize(
    ("tags", "options", "words"),
    [
        (LLAMA, {"tags.ctx_size": ["8k", "16k"]}, "tags.ctx_size: 8k is no whole number from 0"),
        (LLAMA, {"tags.ctx_size": [2.5, 3.5]}, "tags.ctx_size: 2.5 is no whole number from 0"),
        (LLAMA, {"tags.parallel": [0, 4]}, "tags.parallel: 0 is no whole number from 1"),
        ({**LLAMA, "args": ["-c", "8k"]}, {}, "services.tags.args: ctx_size: 8k is no whole"),
        ({**LLAMA, "args": ["-c", "99", "-np", "4", "-np", "x"]}, {}, "args: parallel: x is no w"),
        ({**LLAMA, "args": ["c", "8192"]}, {}, "services.tags.args: 'c' is no flag; begin each"),
        (OLLAMA, {"tags.context_length": [0, 4096]}, "tags.context_length: 0 is no whole number"),
        (
            {**OLLAMA, "env": {"OLLAMA_CONTEXT_LENGTH": "8k"}},
            {},
            "services.tags.env: context_length: 8k is no whole number from 1",
        ),
        ({**SGLANG, "args": ["--mem-fraction-static", "3"]}, {}, "args: '3' is no share of a dev"),
        (
            {**SGLANG, "args": [*FRACTION, "--context-length", "x"]},
            {},
            "services.tags.args: context_length: x is no whole number from 1",
        ),
        (
            {**SGLANG, "args": FRACTION},
            {"tags.mem_fraction_static": 0.2},
            "services.tags.args: baseline.tags.mem_fraction_static says its share too",
        ),
    ],
)
def test_a_number_that_an_engine_would_not_take_is_refused(
    tmp_path: Path, tags: Any, options: Any, words: str
) -> None:
    with pytest.raises(BadInput) as caught:
        read(tmp_path, options, tags=tags)
    assert words in str(caught.value)


def test_a_range_of_whole_numbers_has_no_others(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    read(tmp_path, {"tags.max_num_seqs": [1, 64]}, tags=VLLM)
    text, listed = path.read_text(), "  tags.max_num_seqs:\n  - 1\n  - 64\n"
    assert listed in text
    for ends, is_refused in (("1, high: 64", False), ("1, high: 64, step: 0.5", True)):
        path.write_text(text.replace(listed, f"  tags.max_num_seqs: {{low: {ends}}}\n"))
        if not is_refused:
            assert load(path).search_space.size
            continue
        with pytest.raises(BadInput, match=r"max_num_seqs: 1\.5 is no whole number from 1"):
            load(path)


@pytest.mark.parametrize(
    ("services", "words"),
    [
        ({"llm": {"model": ""}}, "services.llm.model: it is empty; name the model's folder or hub"),
        ({"stt": {"models": {"base": ""}}}, "services.stt.models.base: there is no model"),
    ],
)
def test_an_empty_model_is_refused(tmp_path: Path, services: Any, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        read(tmp_path, **services)


def test_a_batch_of_hugging_faces_embeddings_is_searched_without_a_word_on_answers(
    tmp_path: Path,
) -> None:
    command = "text-embeddings-router --max-batch-tokens {embed.max_batch_tokens} --port {port}"
    embed = {"api": "embeddings", "command": command}
    read(tmp_path, {"embed.max_batch_tokens": [8192, 16384]}, embed=embed)
