"""Attention decides what one token leaves in the KV cache, layer by layer.

What a configuration does not tell, or tells in a way that is not known here, is `unknown` with a
reason, and never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from objectives.model_files.json_file import whole

# as vLLM 0.32's model_arch_config_convertor lists them; the newer ones keep more beside the latent
LATENT = ("deepseek_v2", "deepseek_v3", "kimi_k2", "glm4_moe_lite", "deepseek2")
FULL_EVERY = {"gemma2": 2, "gemma3": 6, "gemma3_text": 6, "cohere2": 4}  # layers
KV_HEADS = ("n_head_kv", "num_kv_heads", "num_key_value_heads", "multi_query_group_num")
# what marks layers that keep a state of another size, or keys that differ between layers
OTHER_STATES = (
    *("ssm_cfg", "mamba_d_state", "mamba_d_ssm", "ssm_state_size", "state_size"),
    *("mamba_num_heads", "full_attention_interval", "attn_layer_period", "hybrid_override_pattern"),
    *("attn_type_list", "linear_attn_config", "layers_block_type", "block_configs"),
    *("attention_chunk_size", "num_kv_shared_layers", "global_head_dim", "index_topk"),
    *("num_global_key_value_heads", "compress_ratios", "attention_other_setting"),
    "swa_num_key_value_heads",
)


@dataclass(frozen=True, slots=True)
class Attention:
    """Attention is what the layers of a model keep of each token.

    Args:
        windows: For each layer how many of the last tokens it keeps; None keeps all.
        numbers: How many numbers a layer keeps of a token.
        kv_heads: The heads that tensor parallelism divides them by; 1 keeps them whole.
        has_latent: Whether it keeps one compressed vector in place of keys and values.
        has_fp8: Whether the checkpoint itself asks for keys and values of one byte.
        unknown: Why what it keeps is not known; empty where it is.
    """

    windows: tuple[int | None, ...]
    numbers: int
    kv_heads: int
    has_latent: bool = False
    has_fp8: bool = False
    unknown: str = ""


def attention_of(
    text: Mapping[str, Any],
    model_type: str,
    layers: int,
    *,
    heads: int | None,
    hidden: int,
    quantization: Mapping[str, Any],
) -> Attention:
    """Return what a configuration says of attention.

    Args:
        text: The configuration of the language model.
        model_type: Its `model_type`.
        layers: How many layers it has.
        heads: The attention heads of a layer; None where they are not told.
        hidden: The size of its hidden states.
        quantization: Its `quantization_config`; empty without one.
    """
    has_fp8 = _has_fp8(quantization)
    if marks := [name for name in OTHER_STATES if text.get(name)]:
        return Attention(
            (), 0, 1, unknown=f"its layers keep more than keys and values ({marks[0]})"
        )
    windows, unknown = _windows(text, model_type, layers)
    if text.get("kv_lora_rank") is not None:
        rank, rope = whole(text["kv_lora_rank"]), whole(text.get("qk_rope_head_dim"))
        if model_type not in LATENT or rank is None or rope is None:
            unknown = unknown or f"what {model_type} keeps of its latent attention is not known"
            return Attention(windows, 0, 1, unknown=unknown)
        return Attention(windows, rank + rope, 1, True, has_fp8, unknown)
    if heads is None:
        return Attention(windows, 0, 1, unknown="its heads are not told, or differ by layer")
    count = next((v for name in KV_HEADS if (v := text.get(name)) is not None), heads)
    if isinstance(count, list):
        count = count[0] if count and len({str(v) for v in count}) == 1 else None
        unknown = unknown or ("" if count else "its layers differ in their key and value heads")
    kv_heads = whole(count)
    if kv_heads is None:
        unknown = unknown or f"its key and value heads are {str(count)[:40]}"
    own = whole(text.get("head_dim")) or whole(text.get("hidden_size_per_head"))
    if own is None and hidden % heads:
        unknown = unknown or f"{heads} heads do not divide {hidden} numbers, and no head_dim"
    size = own or hidden // heads
    of_values = whole(text.get("v_head_dim")) or size
    kv_heads = kv_heads or 1
    return Attention(windows, kv_heads * (size + of_values), kv_heads, False, has_fp8, unknown)


def _windows(
    text: Mapping[str, Any], model_type: str, layers: int
) -> tuple[tuple[int | None, ...], str]:
    """Return the window of each layer, and why it is not known."""
    everything = (None,) * layers
    window = whole(text.get("sliding_window"))
    kinds = text.get("layer_types")
    if isinstance(kinds, list) and kinds:
        windows = _listed([str(kind) for kind in kinds], window, layers)
        return (everything, windows) if isinstance(windows, str) else (windows, "")
    is_used = text.get("use_sliding_window", not model_type.startswith("qwen2"))
    if window is None or not is_used:
        return everything, ""
    every = whole(text.get("sliding_window_pattern")) or FULL_EVERY.get(model_type)
    if every is None:
        return (window,) * layers, ""
    return tuple(None if (n + 1) % every == 0 else window for n in range(layers)), ""


def _listed(kinds: list[str], window: int | None, layers: int) -> tuple[int | None, ...] | str:
    """Return the window of each layer by `layer_types`, or why it is not known."""
    if len(kinds) < layers:
        return f"layer_types tells of {len(kinds)} of {layers} layers"
    kinds = kinds[:layers]
    if others := sorted(set(kinds) - {"full_attention", "sliding_attention"}):
        return f"it has layers of {others[0][:40]}"
    if "sliding_attention" in kinds and window is None:
        return "it has sliding layers and tells no sliding_window"
    return tuple(window if kind == "sliding_attention" else None for kind in kinds)


def _has_fp8(quantization: Mapping[str, Any]) -> bool:
    """Return whether a checkpoint comes with scales for keys and values of one byte."""
    scheme = quantization.get("kv_cache_scheme")
    if isinstance(scheme, dict):
        return scheme.get("type") == "float" and scheme.get("num_bits") == 8
    return str(quantization.get("kv_cache_quant_algo", "")).upper() == "FP8"
