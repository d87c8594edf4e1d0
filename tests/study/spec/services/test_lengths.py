"""Texts that a server would not take, and limits that nothing can miss, are refused at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from made.model_folders import write_config, write_gguf

from objectives.errors import BadInput
from study.spec.load import load
from study.spec.model import Spec

SHARE = ["--gpu-memory-utilization", "0.1"]
TAGS: dict[str, Any] = {"api": "chat", "engine": "vllm", "model": "small", "tokens": [10, 900]}
TAGS |= {"output_tokens": 100}
LLAMA = {**TAGS, "engine": "llama_cpp", "program": "./llama-server", "model": "m.gguf"}
OLLAMA = {**TAGS, "engine": "ollama", "program": "./llama-server", "model": "q"}
SGLANG = {**TAGS, "engine": "sglang"}
FRACTION = ["--mem-fraction-static", "0.2"]
EMBED = {"api": "embeddings", "engine": "vllm", "model": "small", "tokens": [10, 900]}
MORE: dict[str, Any] = {"prompt_tokens": [10, 900], "output_tokens": 100, "turns_per_s": 1}


def read(folder: Path, options: Any = None, workload: Any = None, **services: Any) -> Spec:
    """Read a live spec whose models were made for 1,000 tokens."""
    write_config(folder / "small", max_position_embeddings=1000)
    write_gguf(folder / "m.gguf", {"general.architecture": "llama"})
    program = folder / "llama-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    own = options or {}
    lists = {k: v for k, v in own.items() if isinstance(v, list)}
    today = {k: v[0] if isinstance(v, list) else v for k, v in own.items()}
    (folder / "base").mkdir(exist_ok=True)
    traffic = {"window_s": 60, **MORE, **(workload or {})}
    spec = {
        "name": "lengths",
        "search_space": {"whisper_model_size": ["base"], **lists},
        "baseline": {"whisper_model_size": "base", **today},
        "services": {"llm": {"model": "small"}, "stt": {"models": {"base": "base"}}, **services},
        "workload": {k: v for k, v in traffic.items() if v is not None},
        "gates": {"llm_quality": "unmeasured"},
    }
    limits = spec["services"].pop("limits", None)
    path = folder / "lengths.yaml"
    path.write_text(yaml.safe_dump({**spec, **({"limits": limits} if limits else {})}))
    return load(path)


OF_TURNS = "workload.prompt_tokens: a prompt of 900 tokens and an answer of {} are more than the "
OF_TAGS = "services.tags.tokens: a prompt of 900 tokens and an answer of {} are more than the "


@pytest.mark.parametrize(
    ("options", "workload", "services", "words"),
    [
        (None, {"output_tokens": 101}, {}, OF_TURNS.format(101) + "1000 that the LLM takes (`max"),
        ({"vllm.max_model_len": [900, 1000]}, {}, {}, OF_TURNS.format(100) + "900 that the LLM"),
        ({"vllm.max-model-len": [900]}, {}, {}, OF_TURNS.format(100) + "900 that the LLM takes"),
        (
            None,
            {},
            {"llm": {"model": "small", "args": ["--max_model_len=0.5k"]}},
            OF_TURNS.format(100) + "500 that the LLM takes",
        ),
        (
            None,
            {},
            {"tags": {**TAGS, "output_tokens": 101, "args": SHARE}},
            OF_TAGS.format(101) + "1000 that tags takes (`max_model_len`); write shorter ones",
        ),
        (
            {"tags.ctx_size": [2000, 4000], "tags.parallel": [2, 4]},
            {},
            {"tags": LLAMA},
            OF_TAGS.format(100) + "500 that tags takes (`ctx_size`)",
        ),
        (
            {"tags.context_length": 999},
            {},
            {"tags": OLLAMA},
            OF_TAGS.format(100) + "999 that tags takes (`context_length`)",
        ),
        (
            None,
            {},
            {"tags": {**SGLANG, "args": [*FRACTION, "--context-length", "999"]}},
            OF_TAGS.format(100) + "999 that tags takes (`context_length`)",
        ),
        (
            None,
            {},
            {"embed": {**EMBED, "args": [*SHARE, "--max-model-len", "899"]}},
            "services.embed.tokens: a text of 900 tokens is more than the 899 that embed takes",
        ),
    ],
)
def test_a_prompt_that_the_server_would_not_take_is_refused(
    tmp_path: Path, options: Any, workload: Any, services: Any, words: str
) -> None:
    with pytest.raises(BadInput) as caught:
        read(tmp_path, options, workload, **services)
    assert words in str(caught.value)


def test_the_longest_that_each_takes_is_taken(tmp_path: Path) -> None:
    options = {"tags.ctx_size": [2000, 4000], "tags.parallel": 2}
    spec = read(tmp_path, options, tags=LLAMA, embed={**EMBED, "args": SHARE})
    assert spec.workload.longest == (900, 100)


@pytest.mark.parametrize("args", [["--hf-overrides", "{}"], ["--max-model-len", "auto"]])
def test_where_no_file_tells_nothing_is_refused(tmp_path: Path, args: list[str]) -> None:
    llm = {"model": "small", "args": args}
    spec = read(tmp_path, workload={"output_tokens": 2000}, llm=llm)
    assert spec.workload.output_tokens == 2000


@pytest.mark.parametrize(("name", "prefix"), [("llm", "vllm"), ("tags", "tags")])
def test_more_than_the_model_was_made_for_is_refused_unless_vllm_is_told(
    tmp_path: Path, name: str, prefix: str
) -> None:
    own = {"llm": {"model": "small"}, "tags": {**TAGS, "args": SHARE}}
    options = {f"{prefix}.max_model_len": [1000, 1001]}
    words = f"{prefix}.max_model_len: vLLM refuses 1001, where the model was made for 1000"
    with pytest.raises(BadInput, match=words):
        read(tmp_path, options, **{name: own[name]})
    env = {"VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1"}
    assert read(tmp_path, options, **{name: {**own[name], "env": env}}).search_space.size == 2


@pytest.mark.parametrize(
    ("limit", "services", "workload", "key"),
    [
        ("llm_tpot_p95_ms", {}, {"output_tokens": 1}, "workload.output_tokens"),
        (
            "tags_tpot_p95_ms",
            {"tags": {**TAGS, "output_tokens": 1, "args": SHARE}},
            {},
            "services.tags.output_tokens",
        ),
    ],
)
def test_a_limit_between_tokens_needs_two_of_them(
    tmp_path: Path, limit: str, services: Any, workload: Any, key: str
) -> None:
    with pytest.raises(BadInput, match=f"limits.{limit}: no answer has a second .* {key} is 1"):
        read(tmp_path, None, workload, limits={limit: 50}, **services)
    assert read(tmp_path, None, workload, **services).workload.window_s == 60
    without = read(tmp_path, None, workload, limits={limit: None}, **services)
    assert limit not in without.limits


def test_prompts_that_nobody_named_are_as_long_as_the_llm_takes(tmp_path: Path) -> None:
    spec = read(tmp_path, {"vllm.max_model_len": [500, 1000]}, {"prompt_tokens": None})
    assert spec.workload.prompt_tokens == (400, 400)
    assert any("prompt_tokens is not given: 400 to 400, as" in note for note in spec.notes)
    longer = read(tmp_path, None, {"prompt_tokens": None})
    assert longer.workload.prompt_tokens == (512, 900)
    with pytest.raises(BadInput, match="prompt_tokens: a prompt of 2048 tokens and an"):
        read(tmp_path, None, {"prompt_tokens": None, "output_tokens": 1000})


def test_words_have_a_gate_and_no_limit(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="it is no limit; words have a gate: `gates: "):
        read(tmp_path, limits={"stt_wer_pct": 5})
