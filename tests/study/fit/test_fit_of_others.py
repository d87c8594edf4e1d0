"""What other LLMs and speech on vLLM take of the card is summed up as what the first LLM takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from made.factories import write_spec
from made.model_folders import GGUF, QWEN_7B, write_config, write_gguf, write_safetensors

from objectives.fit.cell import Cell
from study.fit.fit import fit
from study.spec.load import load

CARD = 12_036.0
SIZED = ["--enforce-eager", "--max-model-len", "4096"]
SMALL = {**QWEN_7B, "hidden_size": 896, "num_hidden_layers": 24, "num_key_value_heads": 2}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Return the folder of a model of 1,000 MiB."""
    folder = write_config(tmp_path / "small", {**SMALL, "num_attention_heads": 14})
    write_safetensors(folder / "model.safetensors", {"q": ("BF16", (500 * 2**20,))})
    return folder


def cells(folder: Path, llm: Path, name: str, own: Any, options: Any = None) -> list[Cell]:
    """Return what the files say of an LLM at 40 % of a card beside a service of this name."""
    services = {
        "llm": {"model": str(llm), "args": SIZED, "python": "/opt/vllm/bin/python"},
        "stt": {"models": {}},
        name: own,
    }
    if name == "stt":
        services["stt"] = own
    path = write_spec(
        folder,
        measure="live",
        device="cuda",
        budget={"allow_gpu": True},
        tenants=[],
        services=services,
        search_space={"vllm_memory_util": [0.4, 0.6], "whisper_model_size": ["tiny"]},
        baseline={"vllm_memory_util": 0.4, "whisper_model_size": "tiny", **(options or {})},
    )
    return list(fit(load(path, is_here=False), total_mib=CARD).cells)


def tags(model: Path | str, **more: Any) -> dict[str, Any]:
    usual = {"api": "chat", "engine": "vllm", "model": str(model), "args": SIZED}
    return {**usual, **more}


@pytest.mark.parametrize("name", ["tags", "notes", "stt"])
def test_a_share_of_its_own_is_in_the_sum(tmp_path: Path, small: Path, name: str) -> None:
    own = {"tags": tags(small), "stt": {"engine": "vllm"}}
    own["notes"] = {"api": "transcription", "engine": "vllm", "model": "openai/whisper-base"}
    share = f"{name}.gpu_memory_utilization"
    fits, full = cells(tmp_path, small, name, own[name], {share: 0.35})
    assert (fits.outcome, full.outcome) == ("starts", "predicted_oom")
    assert f"{0.35 * CARD + 500:,.0f} {'speech' if name == 'stt' else name}" in full.why
    both = cells(tmp_path, small, name, own[name], {share: 0.7})
    assert {cell.outcome for cell in both} == {"predicted_oom"}


def test_what_the_spec_says_of_it_counts_in_place_of_its_share(tmp_path: Path, small: Path) -> None:
    share = {"tags.gpu_memory_utilization": 0.7}
    [first, _] = cells(tmp_path, small, "tags", tags(small, memory_mib=700), share)
    assert first.outcome == "starts"


def test_a_share_in_which_its_model_does_not_fit_is_told(tmp_path: Path, small: Path) -> None:
    [first, _] = cells(tmp_path, small, "tags", tags(small), {"tags.gpu_memory_utilization": 0.1})
    assert first.outcome == "predicted_kv_too_small"
    assert first.why.startswith("tags: 1,000 weights + ") and "1,204 MiB it is given" in first.why
    assert first.least_mib is not None  # of the LLM of turns, which the table tells


def test_a_server_of_llama_cpp_takes_its_weights_and_its_whole_context(
    tmp_path: Path, small: Path
) -> None:
    program = tmp_path / "llama-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    write_gguf(tmp_path / "m.gguf", GGUF, weights=2**31)
    args = ["--ctx-size", "16384"]
    own = tags("m.gguf", engine="llama_cpp", program="./llama-server", args=args)
    fits, full = cells(tmp_path, small, "tags", own)
    assert (fits.outcome, full.outcome) == ("starts", "predicted_oom")
    assert "4,628 tags" in full.why  # 2,048 of weights, 2,048 of cache, 532 of others
    on_the_host = {**own, "args": [*args, "--n-gpu-layers", "0"]}
    fits, full = cells(tmp_path, small, "tags", on_the_host)
    assert fits.is_close and "what tags takes is not known" in fits.why
