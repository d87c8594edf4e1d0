"""The shape of a language model decides its memory: layers, heads, sizes, kinds of attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from objectives.errors import SetupError
from objectives.model_files.attention import Attention, attention_of
from objectives.model_files.gguf_header import Gguf, Length
from objectives.model_files.json_file import inner, read_object, whole

ANOTHER = "name the folder of a language model as the `model` of the service"
TEXT = ("text_config", "llm_config", "language_config", "thinker_config")  # of models of more kinds
OTHER_PARTS = ("vision_config", "audio_config", "vision_tower", "thinker_config", "visual")
NO_TEXT = ("ForMaskedLM", "Classification", "QuestionAnswering", "BertModel", "ForCTC")
SLIDES = {True: "sliding_attention", False: "full_attention"}
LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
HIDDEN = ("hidden_size", "n_embd", "d_model")
HEADS = ("num_attention_heads", "n_head", "n_heads")
INTERMEDIATE = ("intermediate_size", "ffn_hidden_size", "n_inner", "ffn_dim")
POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
SCALED_ALREADY = ("su", "longrope", "llama3", "yarn", "deepseek_yarn", "default", "mrope")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """A shape is what of a model's configuration decides its memory.

    Args:
        path: The file that tells it.
        architecture: The first of its `architectures`; that of a GGUF file as it names it.
        model_type: Its `model_type`.
        layers: The number of its layers.
        hidden: The size of its hidden states.
        intermediate: The size of a feed-forward layer.
        vocab: The number of token ids; 0 where its configuration leaves it to the code.
        heads: The attention heads of a layer.
        attention: What a token leaves in the KV cache.
        is_tied: Whether the first and the last layer share their weights.
        dtype: The number format of its weights, e.g. `bfloat16`.
        max_positions: The longest request that it was made for, tokens; None where unknown.
        quantization: How its weights are quantized, e.g. `awq`; None where they are not.
        other_parts: The parts beside the language model, e.g. `vision_config`.
        text: The configuration of the language model, as it lies in the file.
    """

    path: Path
    architecture: str
    model_type: str
    layers: int
    hidden: int
    intermediate: int
    vocab: int
    heads: int
    attention: Attention
    is_tied: bool
    dtype: str
    max_positions: int | None
    quantization: str | None
    other_parts: tuple[str, ...]
    text: Mapping[str, Any]


def read_shape(path: Path) -> Shape:
    """Return the shape that a config.json tells.

    Raises:
        SetupError: It cannot be read, or is that of no language model.
    """
    config = read_object(path)
    text = _text_of(config)
    architectures = config.get("architectures") or text.get("architectures") or ["?"]
    architecture = str(architectures[0] if isinstance(architectures, list) else architectures)
    if config.get("is_encoder_decoder"):
        raise SetupError(
            f"{path}: {architecture} has an encoder and a decoder, and is no model that a "
            f"completions server serves; {ANOTHER}"
        )
    if architecture.endswith(NO_TEXT):
        raise SetupError(f"{path}: {architecture} writes no text; {ANOTHER}")
    layers, hidden = _needed(text, LAYERS, path, 10_000), _needed(text, HIDDEN, path)
    heads = _optional(text, HEADS)
    model_type = str(text.get("model_type") or config.get("model_type") or "?")
    quantization = inner(config, "quantization_config", "compression_config") or inner(
        text, "quantization_config"
    )
    dtype = str(_first((text, config), ("torch_dtype", "dtype")) or "float32")
    is_tied = _first((config, text), ("tie_word_embeddings",))
    return Shape(
        path=path,
        architecture=architecture,
        model_type=model_type,
        layers=layers,
        hidden=hidden,
        intermediate=_optional(text, INTERMEDIATE) or 4 * hidden,
        vocab=_vocab(text, config, path),
        heads=heads or 1,
        attention=attention_of(
            text, model_type, layers, heads=heads, hidden=hidden, quantization=quantization
        ),
        is_tied=model_type.startswith("gemma") if is_tied is None else bool(is_tied),
        dtype=dtype.removeprefix("torch."),
        max_positions=_positions(text, model_type),
        quantization=str(quantization.get("quant_method", "?")).lower() if quantization else None,
        other_parts=tuple(part for part in OTHER_PARTS if isinstance(config.get(part), dict)),
        text=text,
    )


def longest_of(path: Path) -> int | None:
    """Return the longest request that a config.json was made for, tokens; None: it does not tell.

    Raises:
        SetupError: It cannot be read.
    """
    config = read_object(path)
    text = _text_of(config)
    return _positions(text, str(text.get("model_type") or config.get("model_type") or "?"))


def shape_of_gguf(path: Path, gguf: Gguf) -> Shape:
    """Return the shape that a GGUF file tells.

    Raises:
        SetupError: It is that of no language model.
    """
    meta = gguf.metadata
    kind = str(meta.get("general.architecture", "?"))
    own = {name.removeprefix(f"{kind}."): v for name, v in meta.items()}
    heads = own.get("attention.head_count")
    words = meta.get("tokenizer.ggml.tokens")
    slides = own.get("attention.sliding_window_pattern")
    text = {
        "num_hidden_layers": own.get("block_count"),
        "hidden_size": own.get("embedding_length"),
        "intermediate_size": own.get("feed_forward_length"),
        "num_attention_heads": heads,
        "num_key_value_heads": own.get("attention.head_count_kv", heads),
        "head_dim": own.get("attention.key_length"),
        "v_head_dim": own.get("attention.value_length"),
        "vocab_size": words.count if isinstance(words, Length) else own.get("vocab_size"),
        "max_position_embeddings": own.get("context_length"),
        "sliding_window": own.get("attention.sliding_window"),
        "layer_types": [SLIDES[bool(s)] for s in slides] if isinstance(slides, list) else None,
        "kv_lora_rank": own.get("attention.kv_lora_rank"),
        "qk_rope_head_dim": own.get("rope.dimension_count"),
        "ssm_cfg": own.get("ssm.state_size"),
    }
    layers, hidden = _needed(text, LAYERS, path, 10_000), _needed(text, HIDDEN, path)
    heads = _optional(text, HEADS)
    return Shape(
        path=path,
        architecture=kind,
        model_type=kind,
        layers=layers,
        hidden=hidden,
        intermediate=_optional(text, INTERMEDIATE) or 4 * hidden,
        vocab=_optional(text, ("vocab_size",)) or 0,
        heads=heads or 1,
        attention=attention_of(text, kind, layers, heads=heads, hidden=hidden, quantization={}),
        is_tied="output.weight" not in gguf.tensors,
        dtype="float16",
        max_positions=_positions(text, kind),
        quantization="gguf",
        other_parts=(),
        text=text,
    )


def _text_of(config: dict[str, Any]) -> dict[str, Any]:
    """Return the part about the language model, also of a model that sees or hears."""
    nested = inner(config, *TEXT)
    if "text_config" in nested:
        nested = inner(nested, "text_config")
    return nested if nested and not _optional(config, LAYERS) else config


def _vocab(text: Mapping[str, Any], config: Mapping[str, Any], path: Path) -> int:
    """Return the number of token ids; that of a nested model may be left to the code."""
    size = _optional(text, ("vocab_size",)) or _optional(config, ("vocab_size",))
    return size or (0 if text is not config else _needed(text, ("vocab_size",), path))


def _first(several: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Any:
    return next((v for values in several for n in names if (v := values.get(n)) is not None), None)


def _optional(text: Mapping[str, Any], names: Sequence[str], most: int = 10**9) -> int | None:
    return next((n for name in names if (n := whole(text.get(name), most=most))), None)


def _needed(text: Mapping[str, Any], names: Sequence[str], path: Path, most: int = 10**9) -> int:
    if (number := _optional(text, names, most)) is not None:
        return number
    value = _first((text,), names)
    what = f"no {names[0]}" if value is None else f"{names[0]} is {str(value)[:40]}"
    kind = str(text.get("model_type") or "").strip()
    raise SetupError(
        f"{path}: it describes no language model that can be sized ({what}"
        f"{f', model_type {kind[:40]}' if kind else ''}); {ANOTHER}"
    )


def _positions(text: Mapping[str, Any], model_type: str) -> int | None:
    """Return the longest request that a model was made for, scaled as vLLM does."""
    lengths = [n for name in POSITIONS if (n := whole(text.get(name), most=10**8))]
    if not lengths:
        return None
    rope = inner(text, "rope_scaling", "rope_parameters")
    kind = rope.get("rope_type", rope.get("type", "default"))
    factor = rope.get("factor", 1.0)
    is_scaled = kind not in SCALED_ALREADY and "gemma3" not in model_type
    if is_scaled and isinstance(factor, int | float) and 1 <= factor <= 1000:
        return int(min(lengths) * factor)
    return min(lengths)
