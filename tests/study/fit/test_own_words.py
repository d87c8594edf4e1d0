"""Checks that a template's command is read through its container, down to the server's words."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from made.factories import write_spec
from made.model_folders import GGUF, QWEN_7B, write_config, write_gguf

from objectives.errors import SetupError
from objectives.fit.cell import Cell
from objectives.fit.fits import Fits
from study.fit.fit import Fit, fit
from study.spec.load import load

IMAGE = "vllm/vllm-openai:v0.11.0"


def answer(folder: Path, command: str, space: dict[str, object], model: str = "") -> Fit:
    """Return the answer of the files for an LLM that a template starts."""
    baseline = {"vllm_memory_util": 0.5, "whisper_model_size": "base"}
    spec = write_spec(
        folder,
        measure="live",
        device="cuda",
        services={"llm": {"command": command, "model": model}, "stt": {"models": {}}},
        search_space={"whisper_model_size": ["base"], **space},
        baseline=baseline | {name: values[0] for name, values in space.items()},  # type: ignore[index]
        budget={"allow_gpu": True},
        tenants=[],
    )
    return fit(load(spec, is_here=False), card_name="RTX 3060")


def test_a_vllm_in_its_container_is_known_by_the_hub_cache_that_the_container_sees(
    tmp_path: Path,
) -> None:
    snapshot = tmp_path / "hf/hub/models--Org--Seven/snapshots/abc"
    write_config(snapshot, QWEN_7B, num_hidden_layers=4)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs/main").write_text("abc\n")
    run = f"docker run --rm --gpus=all -v {tmp_path}/hf:/root/.cache/huggingface {IMAGE}"
    flags = "--port {port} --gpu-memory-utilization {vllm_memory_util} --max-model-len 4096"
    shares = {"vllm_memory_util": [0.4, 0.7]}
    answers = [
        answer(tmp_path, f"{run} {words} {flags}", shares, "Org/Seven")
        for words in ("--model Org/Seven", "--model=Org/Seven", "Org/Seven", "")
    ]
    assert {a.files.folder for a in answers} == {snapshot}
    assert answers[0].files.server == "vLLM 0.11.0"
    few, many = (cell.kv_tokens for cell in answers[0].cells)
    assert few is not None and many is not None and few < many
    assert {a.cells for a in answers} == {answers[0].cells}
    outside = f"env A=1 {snapshot}/../../../../../vllm serve {snapshot} {flags}"
    assert answer(tmp_path, outside, shares).cells[1].longest_tokens == 4096


def test_a_share_that_a_template_fixes_is_the_one_that_counts(tmp_path: Path) -> None:
    write_config(tmp_path / "m", QWEN_7B, num_hidden_layers=4)
    bind = f"--mount type=bind,source={tmp_path}/m,target=/m"
    run = f"podman run {bind} {IMAGE} --model=/m --port {{port}}"

    def cell(words: str) -> Cell:
        space = {"vllm.max_num_seqs": [16]}
        command = f"{run} {words} --max-num-seqs {{vllm.max_num_seqs}}"
        return answer(tmp_path, command, space).cells[0]

    low, high, usual = (
        cell(w) for w in ("--gpu-memory-utilization=0.5", "--gpu-memory-utilization 0.8", "")
    )
    assert low.kv_tokens is not None and high.kv_tokens is not None
    assert low.kv_tokens < high.kv_tokens and low.allocation.share == 0.5
    assert usual.outcome is Fits.PREDICTED_OOM and "11,073 share" in usual.why, "92 %, by itself"


@pytest.mark.parametrize(
    "run",
    [
        "docker run -v {}/models:/models ghcr.io/ggml-org/llama.cpp:server-cuda",
        "nerdctl run --volume={}/models:/models:ro --entrypoint=/app/llama-server mine:1",
    ],
)
def test_a_llama_cpp_in_its_container_is_known_by_the_file_behind_its_volume(
    tmp_path: Path, run: str
) -> None:
    (tmp_path / "models").mkdir()
    write_gguf(tmp_path / "models/q.gguf", GGUF, weights=2**20)
    command = f"{run.format(tmp_path)} -m /models/q.gguf --port {{port}} -c {{vllm.ctx}}"
    cells = answer(tmp_path, command, {"vllm.ctx": [4096, 8192]}).cells
    assert [cell.kv_tokens for cell in cells] == [4096, 8192]


def test_a_file_that_only_a_container_has_is_said_to_be_so(tmp_path: Path) -> None:
    image = "ghcr.io/ggml-org/llama.cpp:server"
    command = f"docker run -v models:/models {image} -m /models/q.gguf --port {{port}}"
    with pytest.raises(
        SetupError, match=re.escape("/models/q.gguf is a path in the LLM's container")
    ):
        answer(tmp_path, command, {})
