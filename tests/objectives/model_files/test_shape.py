"""Checks what a config.json says: parameters as published, kinds of attention, and what is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from made.model_folders import QWEN_7B, write_config

from objectives.errors import SetupError
from objectives.model_files.parameters import parameters
from objectives.model_files.shape import Shape, read_shape

LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
    "rope_scaling": {"rope_type": "llama3", "factor": 8.0},
}
GEMMA = LLAMA | {
    "architectures": ["Gemma2ForCausalLM"],
    "model_type": "gemma2",
    "hidden_size": 3584,
    "num_hidden_layers": 42,
    "num_attention_heads": 16,
    "head_dim": 256,
    "vocab_size": 256000,
    "sliding_window": 4096,
}
MIXTRAL = LLAMA | {
    "architectures": ["MixtralForCausalLM"],
    "model_type": "mixtral",
    "vocab_size": 32000,
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
    "sliding_window": None,
}
QWEN_MOE = LLAMA | {
    "architectures": ["Qwen3MoeForCausalLM"],
    "model_type": "qwen3_moe",
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "moe_intermediate_size": 768,
    "num_hidden_layers": 48,
    "num_key_value_heads": 4,
    "head_dim": 128,
    "vocab_size": 151936,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "decoder_sparse_step": 1,
}
DEEPSEEK = LLAMA | {
    "architectures": ["DeepseekV3ForCausalLM"],
    "model_type": "deepseek_v3",
    "hidden_size": 7168,
    "intermediate_size": 18432,
    "moe_intermediate_size": 2048,
    "num_hidden_layers": 61,
    "num_attention_heads": 128,
    "num_key_value_heads": 128,
    "vocab_size": 129280,
    "n_routed_experts": 256,
    "n_shared_experts": 1,
    "first_k_dense_replace": 3,
    "num_experts_per_tok": 8,
    "kv_lora_rank": 512,
    "q_lora_rank": 1536,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
}


def shape(folder: Path, config: Any, **changes: Any) -> Shape:
    return read_shape(write_config(folder, config, **changes) / "config.json")


@pytest.mark.parametrize(
    ("config", "published"),
    [
        (LLAMA, 8_030_261_248),
        (QWEN_7B, 7_615_616_512),
        (GEMMA, 9_241_705_984),
        (MIXTRAL, 46_702_792_704),
        (QWEN_MOE, 30_532_122_624),
        (DEEPSEEK, 671_026_419_200),
    ],
    ids=["llama-3.1-8b", "qwen2.5-7b", "gemma-2-9b", "mixtral", "qwen3-30b-a3b", "deepseek-v3"],
)
def test_parameters_are_those_that_the_makers_published(
    tmp_path: Path, config: dict[str, Any], published: int
) -> None:
    assert parameters(shape(tmp_path, config)) == pytest.approx(published, rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "numbers"),
    [
        ({}, 2 * 4 * 128),
        ({"head_dim": 64}, 2 * 4 * 64),
        ({"num_key_value_heads": None}, 2 * 28 * 128),
        ({"num_key_value_heads": None, "multi_query_group_num": 2}, 2 * 2 * 128),
        ({"num_key_value_heads": [4] * 28}, 2 * 4 * 128),
    ],
)
def test_a_layer_keeps_keys_and_values_of_its_groups(
    tmp_path: Path, changes: dict[str, Any], numbers: int
) -> None:
    attention = shape(tmp_path, QWEN_7B, **changes).attention
    assert (attention.numbers, attention.unknown) == (numbers, "")
    assert attention.windows == (None,) * 28


def test_a_latent_attention_keeps_one_vector(tmp_path: Path) -> None:
    attention = shape(tmp_path, DEEPSEEK).attention
    assert (attention.numbers, attention.has_latent, attention.kv_heads) == (576, True, 1)


@pytest.mark.parametrize(
    ("config", "changes", "windows"),
    [
        (GEMMA, {}, (4096, None) * 21),
        (GEMMA, {"model_type": "gemma3_text", "num_hidden_layers": 6}, (4096,) * 5 + (None,)),
        (GEMMA, {"model_type": "mistral", "num_hidden_layers": 2}, (4096, 4096)),
        (QWEN_7B, {"num_hidden_layers": 2, "use_sliding_window": None}, (None, None)),
        (
            LLAMA,
            {
                "num_hidden_layers": 3,
                "sliding_window": 128,
                "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
            },
            (128, None, 128),
        ),
    ],
)
def test_windows_are_told_layer_by_layer(
    tmp_path: Path, config: Any, changes: dict[str, Any], windows: tuple[int | None, ...]
) -> None:
    attention = shape(tmp_path, config, **changes).attention
    assert (attention.windows, attention.unknown) == (windows, "")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"full_attention_interval": 4}, "full_attention_interval"),  # Qwen3-Next
        ({"layer_types": ["linear_attention"] * 32}, "layers of linear_attention"),
        ({"layer_types": ["full_attention"]}, "1 of 32 layers"),
        ({"layer_types": ["sliding_attention"] * 32}, "no sliding_window"),
        ({"mamba_d_state": 128}, "mamba_d_state"),
        ({"attention_chunk_size": 8192}, "attention_chunk_size"),  # Llama 4
        ({"kv_lora_rank": 512}, "what llama keeps"),
        ({"num_key_value_heads": [8, 4] * 16}, "differ"),
        ({"num_key_value_heads": "eight"}, "eight"),
        ({"num_attention_heads": None}, "heads are not told"),
        ({"num_attention_heads": 33}, "do not divide"),
        ({"index_topk": 2048}, "index_topk"),  # DeepSeek V3.2
    ],
)
def test_what_attention_keeps_is_unknown_rather_than_guessed(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    assert words in shape(tmp_path, LLAMA, **changes).attention.unknown


@pytest.mark.parametrize("key", ["text_config", "llm_config", "language_config"])
def test_the_language_model_of_one_that_sees_is_found(tmp_path: Path, key: str) -> None:
    outer = {"architectures": ["XForConditionalGeneration"], "vision_config": {"hidden_size": 8}}
    outer_shape = shape(tmp_path, {**outer, key: QWEN_7B})
    assert (outer_shape.layers, outer_shape.architecture) == (28, "XForConditionalGeneration")
    assert outer_shape.other_parts == ("vision_config",)


@pytest.mark.parametrize(
    ("changes", "longest"),
    [
        ({}, 131072),
        ({"rope_scaling": {"rope_type": "linear", "factor": 2.0}}, 262144),
        ({"rope_scaling": {"type": "yarn", "factor": 4.0}}, 131072),
        ({"max_position_embeddings": None}, None),
    ],
)
def test_the_longest_request_is_scaled_as_vllm_does(
    tmp_path: Path, changes: dict[str, Any], longest: int | None
) -> None:
    assert shape(tmp_path, LLAMA, **changes).max_positions == longest


@pytest.mark.parametrize(
    ("scheme", "has_fp8"),
    [
        ({"kv_cache_scheme": {"type": "float", "num_bits": 8}}, True),
        ({"kv_cache_quant_algo": "FP8"}, True),
        ({"kv_cache_scheme": None}, False),
    ],
)
def test_a_checkpoint_may_ask_for_a_cache_of_one_byte(
    tmp_path: Path, scheme: dict[str, Any], has_fp8: bool
) -> None:
    quantization = {"quant_method": "compressed-tensors", **scheme}
    assert shape(tmp_path, LLAMA, quantization_config=quantization).attention.has_fp8 is has_fp8


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is not JSON"),
        ("[]", "no JSON object"),
        ("{}", "no num_hidden_layers"),
        ('{"num_hidden_layers": -3}', "num_hidden_layers is -3"),
        ('{"num_hidden_layers": 1e999}', "num_hidden_layers is inf"),
        ('{"num_hidden_layers": true, "hidden_size": 4}', "num_hidden_layers is True"),
        ('{"num_hidden_layers": 2, "hidden_size": "big"}', "hidden_size is big"),
        ('{"num_hidden_layers": 12, "hidden_size": 768, "num_attention_heads": 12}', "vocab_size"),
        ('{"model_type": "whisper", "is_encoder_decoder": true}', "an encoder and a decoder"),
        ('{"architectures": ["BertForMaskedLM"]}', "writes no text"),
        ('{"model_type": "clip", "text_config": 3, "vision_config": {}}', "model_type clip"),
        ('{"a":' * 5000, "it is not JSON"),
        ("9" * 5000, "it is not JSON"),
    ],
)
def test_a_configuration_of_another_kind_is_a_sentence(
    tmp_path: Path, text: str, words: str
) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(SetupError) as error:
        read_shape(path)
    assert words in str(error.value) and str(path) in str(error.value)
    assert "name" in str(error.value), "a way out"


def test_a_file_is_read_within_bounds(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    with path.open("wb") as file:
        file.truncate(65 * 2**20)
    with pytest.raises(SetupError, match="more than 64 MiB"):
        read_shape(path)
