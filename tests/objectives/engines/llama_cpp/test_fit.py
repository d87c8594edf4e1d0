"""Checks what a server of llama.cpp takes: its file, its whole context and its logits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made.model_folders import write_gguf

from objectives.allocation import Allocation
from objectives.engines.llama_cpp.fit import LlamaCppArithmetic, is_llama_cpp
from objectives.fit.cell import Cell, Host, SpeechMemory
from objectives.model_files.model import Model, read_model
from objectives.plain_data.units import MIB

HOST = Host(product="host", total_mib=8_000, held_mib=0, reserve_mib=512, is_cpu=True)
# the tiny model of which servers were measured: 16 KiB a token, 2.9 MB
TINY = {
    "general.architecture": "llama",
    "llama.block_count": 4,
    "llama.embedding_length": 512,
    "llama.feed_forward_length": 512,
    "llama.attention.head_count": 8,
    "llama.attention.head_count_kv": 8,
    "llama.attention.key_length": 128,
    "llama.attention.value_length": 128,
    "llama.context_length": 65536,
    "tokenizer.ggml.tokens": ["word"] * 2048,
}


def model(folder: Path, **changes: object) -> Model:
    metadata = {k.replace("__", "."): v for k, v in changes.items()}
    write_gguf(folder / "m.gguf", TINY | metadata, weights=3 * MIB)
    return read_model(folder / "m.gguf")


def cell(model: Model, *words: str, host: Host = HOST, speech: float | None = 0.0) -> Cell:
    return LlamaCppArithmetic().cell(
        Allocation({"vllm_memory_util": 0.5, "whisper_model_size": "base"}),
        ("llama-server", "-m", "m.gguf", *words),
        model,
        SpeechMemory(speech, "" if speech is not None else "speech is not known"),
        host,
        request_tokens=1000,
        version=None,
    )


def test_the_memory_is_that_of_the_servers_that_were_measured(tmp_path: Path) -> None:
    forecast = cell(model(tmp_path), "-c", "8192", "-np", "4")
    assert forecast.missing_mib is not None
    # 153 MiB of RSS with a context of 8,192; and 65,536 asked for 1,024 MiB of cache
    assert forecast.missing_mib + HOST.total_mib == pytest.approx(153, rel=0.1)
    assert (forecast.kv_tokens, forecast.longest_tokens, forecast.at_once) == (8192, 2048, 4)
    assert "1,024 KV cache" in cell(model(tmp_path), "-c", "65536").why


@pytest.mark.parametrize(
    ("words", "outcome", "is_close"),
    [
        (("-c", "65536"), "starts", False),
        (("-c", "20000000"), "predicted_oom", False),
        (("-c", "520000"), "predicted_oom", True),
        (("-c", "520000", "-ctk", "q8_0", "-ctv", "q8_0"), "starts", False),
    ],
)
def test_a_context_that_is_too_long_does_not_start(
    tmp_path: Path, words: tuple[str, ...], outcome: str, is_close: bool
) -> None:
    forecast = cell(model(tmp_path), *words)
    assert (forecast.outcome, forecast.is_close) == (outcome, is_close)


@pytest.mark.parametrize(
    ("words", "changes", "part"),
    [
        (("-ctk", "odd"), {}, "number format"),
        ((), {"llama__attention__sliding_window": 512}, "sliding"),
        ((), {"llama__ssm__state_size": 16}, "keys and values"),
        ((), {"split__count": 2}, "one of 2 files"),
    ],
)
def test_what_is_not_known_is_told(
    tmp_path: Path, words: tuple[str, ...], changes: dict[str, int], part: str
) -> None:
    forecast = cell(model(tmp_path, **changes), *words)
    assert forecast.outcome == "unknown" and part in forecast.why


def test_a_gpu_holds_the_process_too_and_layers_on_the_cpu_are_only_close(tmp_path: Path) -> None:
    own = model(tmp_path)
    on_gpu = replace(HOST, is_cpu=False)
    first, second = cell(own, "-c", "8192"), cell(own, "-c", "8192", host=on_gpu)
    assert first.free_mib and second.free_mib and first.free_mib - second.free_mib == 500
    assert not cell(own, "-c", "8192", "-ngl", "99", host=on_gpu).is_close
    split = cell(own, "-c", "8192", "-ngl", "2", host=on_gpu)
    assert split.is_close and "only 2 layers" in split.why
    assert cell(own, speech=None).why == "speech is not known"


def test_the_command_is_known_by_its_program() -> None:
    argv = ("/opt/bin/llama-server", "--model", "a.gguf", "-m", "b.gguf")
    assert is_llama_cpp(argv) and LlamaCppArithmetic().model_of(argv) == "b.gguf"
    assert not is_llama_cpp(("python", "-m", "server"))
    assert LlamaCppArithmetic().model_of(("llama-server", "-m")) is None
