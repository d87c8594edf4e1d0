"""llama.cpp serves a model beside the turn: its command, its context, and what is ours to set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from made.live_factories import FAKES

from objectives.engines.registry import engine_of
from objectives.errors import BadInput
from study.spec.load import load
from study.spec.model import Spec

CONTEXT = "embed.ctx_size"


def read(folder: Path, options: Any = None, **entry: Any) -> Spec:
    (folder / "m.gguf").write_text("a model")
    program = folder / "llama-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    options = {CONTEXT: [4096, 8192]} if options is None else options
    usual = {"engine": "llama_cpp", "api": "embeddings", "program": "./llama-server"}
    data = {
        **FAKES,
        "services": {**FAKES["services"], "embed": {**usual, "model": "m.gguf", **entry}},
        "search_space": {**FAKES["search_space"], **options},
        "baseline": {**FAKES["baseline"], **{k: v[0] for k, v in options.items()}},
    }
    path = folder / "three.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return load(path)


@pytest.mark.parametrize(
    ("api", "flag", "path"),
    [("embeddings", "--embeddings", "/v1/embeddings"), ("rerank", "--reranking", "/v1/rerank")],
)
def test_its_command_serves_what_the_api_says_in_the_context_that_is_searched(
    tmp_path: Path, api: str, flag: str, path: str
) -> None:
    spec = read(tmp_path, api=api, args=["--threads", "1"])
    engine = engine_of("embed", spec.services["embed"])
    command = engine.command(spec.baseline, {"CUDA_VISIBLE_DEVICES": "0"})
    assert " ".join(command.with_port(5)) == (
        f"{tmp_path}/llama-server --model {tmp_path}/m.gguf --alias model --host 127.0.0.1 "
        f"--port 5 --parallel 4 --n-gpu-layers 999 {flag} --threads 1 --ctx-size 4096"
    )
    assert command.env["CUDA_VISIBLE_DEVICES"] == "0"
    assert engine.memory_key(spec.baseline) == "ctx_size=4096"
    assert engine.conditions()["model"] == "m.gguf" and engine.conditions()["args"]
    assert engine.version_command == (f"{tmp_path}/llama-server", "--version")
    assert engine.endpoint("http://host").api.path == path
    assert engine.may_change_answers("pooling") and engine.may_change_answers("ctk")
    assert not engine.may_change_answers("ctx_size") and not engine.has_kv_cache


@pytest.mark.parametrize(
    ("options", "entry", "words"),
    [
        ({}, {}, "embed.args: nothing says the context, .*search embed.ctx_size"),
        (None, {"args": ["--embedding"]}, "embed.args: --embedding is set by the study itself"),
        (None, {"args": ["-m", "x"]}, "embed.args: -m is set by the study itself"),
        ({"embed.rerank": [True], CONTEXT: [9]}, {}, "leave it to services.embed.api"),
        (None, {"tokens": [8, 1025]}, "tokens: a text of 1025 tokens is more than the 1024 that"),
        (None, {"model": "no.gguf"}, "embed.model: there is no file 'no.gguf'"),
        (None, {"program": "./none"}, "embed.program: "),
        (None, {"python": "python"}, "embed.python: llama_cpp has none; name its `program:`"),
        (None, {"metrics_path": "/m"}, "embed.metrics_path: only an LLM has it"),
        ({CONTEXT: ["8k"]}, {}, "8k is no whole number"),
    ],
)
def test_what_it_would_not_take_is_said_before_a_launch(
    tmp_path: Path, options: Any, entry: Any, words: str
) -> None:
    with pytest.raises(BadInput, match=words):
        read(tmp_path, options, **entry)
