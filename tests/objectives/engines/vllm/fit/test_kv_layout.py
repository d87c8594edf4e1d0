"""Checks bytes a token and how vLLM divides a cache, for every kind of attention that is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made.model_folders import QWEN_7B, write_config

from objectives.engines.vllm.fit.kv_layout import KvLayout, kv_layout
from objectives.engines.vllm.fit.options import VllmOptions, vllm_options
from objectives.model_files.shape import Shape, read_shape

FLAGS = ("--max-model-len", "4096", "--max-num-batched-tokens", "2048")
GIB_MIB = 1024.0


def read(folder: Path, **changes: Any) -> Shape:
    return read_shape(write_config(folder, QWEN_7B, **changes) / "config.json")


def options(shape: Shape, *flags: str) -> VllmOptions:
    return vllm_options([*FLAGS, *flags], shape, total_mib=12_000, product="RTX 3060", is_cpu=False)


def layout(folder: Path, *flags: str, **changes: Any) -> KvLayout:
    shape = read(folder, **changes)
    blocks = kv_layout(shape, options(shape, *flags))
    assert isinstance(blocks, KvLayout)
    return blocks


@pytest.mark.parametrize(
    ("flags", "changes", "token_bytes"),
    [
        ((), {}, 56 * 1024),  # of Qwen2.5-7B: 2 x 4 heads x 128 x 28 layers x 2 bytes
        (("--kv-cache-dtype", "fp8"), {}, 28 * 1024),
        (("--kv-cache-dtype=fp8_e5m2",), {}, 28 * 1024),
        (("--kv-cache-dtype", "bfloat16"), {"torch_dtype": "float32"}, 56 * 1024),
        (("--dtype", "float32"), {}, 112 * 1024),
        (("--tensor-parallel-size", "2"), {}, 28 * 1024),
        (("-tp", "8"), {}, 14 * 1024),  # more devices than heads: each keeps one
        ((), {"quantization_config": {"kv_cache_quant_algo": "FP8"}}, 28 * 1024),
        (
            (),
            {
                "model_type": "deepseek_v3",
                "kv_lora_rank": 512,
                "qk_rope_head_dim": 64,
                "num_hidden_layers": 61,
            },
            70_272,  # of DeepSeek-V3, as its makers published
        ),
    ],
)
def test_bytes_of_a_token(
    tmp_path: Path, flags: tuple[str, ...], changes: dict[str, Any], token_bytes: int
) -> None:
    assert layout(tmp_path, *flags, **changes).token_bytes == token_bytes


def test_a_cache_is_told_in_whole_blocks(tmp_path: Path) -> None:
    blocks = layout(tmp_path)
    block_mib = 16 * 56 / 1024
    assert blocks.tokens(10 * block_mib, 4096) == blocks.tokens(10.9 * block_mib, 4096) == 160
    assert blocks.tokens(-5.0, 4096) == blocks.longest(-5.0, 4096) == 0
    assert blocks.longest(10.9 * block_mib, 4096) == 160
    assert blocks.longest(GIB_MIB, 4096) == 4096
    assert blocks.at_once(GIB_MIB, 4096) == 4
    assert blocks.request_mib(4096) == 224.0


def test_sliding_layers_share_a_pool_with_the_others(tmp_path: Path) -> None:
    kinds = ["sliding_attention"] * 5 + ["full_attention"]
    changes = {"num_hidden_layers": 24, "layer_types": kinds * 4, "sliding_window": 1024}
    blocks = layout(tmp_path, "--max-model-len", "32768", **changes)
    assert (blocks.groups.count(1024), blocks.groups.count(None)) == (5, 1)
    assert blocks.block_bytes == 16 * 2 * 4 * 128 * 2 * 4  # groups of four layers
    # a sliding layer keeps its window and what is computed at once, and not the whole request
    kept = -(-(1023 + 2 * 2048) // 16) + 1
    assert blocks.blocks_of(32768) == 2048 + 5 * kept
    full = layout(tmp_path, "--max-model-len", "32768", num_hidden_layers=24)
    assert blocks.request_mib(32768) < full.request_mib(32768) / 2
    assert blocks.tokens(GIB_MIB, 32768) > 2 * full.tokens(GIB_MIB, 32768)


def test_kinds_of_near_counts_fill_up_one_group_each(tmp_path: Path) -> None:
    kinds = ["sliding_attention", "full_attention"] * 12 + ["full_attention"]
    blocks = layout(tmp_path, num_hidden_layers=25, layer_types=kinds, sliding_window=128)
    assert sorted(blocks.groups, key=str) == [128, None]
    assert blocks.block_bytes == 16 * 2 * 4 * 128 * 2 * 13


@pytest.mark.parametrize(
    ("flags", "changes", "words"),
    [
        (("--kv-cache-dtype", "turboquant_4bit_nc"), {}, "turboquant_4bit_nc"),
        ((), {"full_attention_interval": 4}, "full_attention_interval"),
    ],
)
def test_what_is_not_known_says_so(
    tmp_path: Path, flags: tuple[str, ...], changes: dict[str, Any], words: str
) -> None:
    shape = read(tmp_path, **changes)
    reason = kv_layout(shape, options(shape, *flags))
    assert isinstance(reason, str) and words in reason


def test_no_limit_of_a_request_takes_the_models(tmp_path: Path) -> None:
    shape = read(tmp_path)
    own = vllm_options([], shape, total_mib=12_000, product="", is_cpu=False)
    assert own.max_model_len == 32768
    assert options(shape, "--max-model-len", "auto").max_model_len is None
    none = replace(shape, max_positions=None)
    settings = vllm_options([], none, total_mib=12_000, product="", is_cpu=False)
    assert settings.max_model_len == 2048


@pytest.mark.parametrize(
    ("total_mib", "product", "is_cpu", "defaults"),
    [
        (12_036, "NVIDIA GeForce RTX 3060", False, (256, 2048)),
        (81_079, "NVIDIA H100 80GB HBM3", False, (1024, 8192)),
        (81_000, "NVIDIA A100-SXM4-80GB", False, (256, 2048)),
        (180_000, "NVIDIA B200", False, (1024, 16384)),
        (24_000, "CPU", True, (128, 2048)),
    ],
)
def test_defaults_are_those_of_the_card(
    tmp_path: Path, total_mib: float, product: str, is_cpu: bool, defaults: tuple[int, int]
) -> None:
    settings = vllm_options([], read(tmp_path), total_mib=total_mib, product=product, is_cpu=is_cpu)
    assert (settings.max_num_seqs, settings.max_num_batched_tokens) == defaults
    assert settings.is_eager is is_cpu


@pytest.mark.parametrize(
    ("flags", "sizes"),
    [
        ((), 51),
        (("--max-num-seqs", "64"), 19),
        (("--max-cudagraph-capture-size", "16"), 5),
        (("--enforce-eager",), 0),
        (("--enforce-eager", "--no-enforce-eager"), 51),
        (("--no-enforce-eager", "--enforce_eager"), 0),
    ],
)
def test_graphs_are_captured_by_size(tmp_path: Path, flags: tuple[str, ...], sizes: int) -> None:
    assert options(read(tmp_path), *flags).graph_sizes == sizes


def test_flags_that_change_memory_in_other_ways_are_named(tmp_path: Path) -> None:
    settings = options(
        read(tmp_path), "--enable-lora", "--compilation-config.mode=3", "-O2", "--seed", "1"
    )
    assert settings.uncounted == ("--enable-lora", "--compilation-config.mode", "-O2")
    assert options(read(tmp_path), "--kv-cache-memory-bytes", "2G").cache_mib == 2048
