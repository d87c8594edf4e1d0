"""This module writes models' files as they lie on a disk: headers whole, weights as a hole."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

from objectives.rig.tiny_llm import byte_level_tokenizer, write_json

SIZES = {"F32": 4, "F16": 2, "BF16": 2, "I32": 4, "F8_E4M3": 1, "U8": 1}
QWEN_7B: Mapping[str, Any] = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "vocab_size": 152064,
    "max_position_embeddings": 32768,
    "sliding_window": 131072,
    "use_sliding_window": False,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}
GGUF: Mapping[str, Any] = {
    "general.architecture": "llama",
    "llama.block_count": 32,
    "llama.embedding_length": 4096,
    "llama.attention.head_count": 32,
    "llama.attention.head_count_kv": 8,
    "tokenizer.ggml.tokens": ["a", "b"],
}


def write_config(folder: Path, config: Mapping[str, Any] = QWEN_7B, **changes: Any) -> Path:
    """Write a config.json with some keys replaced; None leaves one out."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = {k: v for k, v in {**config, **changes}.items() if v is not None}
    (folder / "config.json").write_text(json.dumps(entries))
    return folder


def write_safetensors(path: Path, tensors: Mapping[str, tuple[str, Sequence[int]]]) -> int:
    """Write a file of tensors, each with its number format and shape; return their bytes."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, (dtype, shape) in tensors.items():
        begin, end = end, end + prod(shape) * SIZES[dtype]
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}
    data = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(data).to_bytes(8, "little") + data)
        file.truncate(8 + len(data) + end)
    return end


def write_gguf(path: Path, metadata: Mapping[str, Any], weights: int = 4096) -> None:
    """Write a GGUF file of one tensor, with text, whole numbers and arrays as metadata."""
    data = b"GGUF" + struct.pack("<IQQ", 3, 1, len(metadata))
    for name, value in metadata.items():
        data += _text(name) + _value(value)
    data += _text("token_embd.weight") + struct.pack("<IQIQ", 1, weights, 0, 0)
    with path.open("wb") as file:
        file.write(data)
        file.truncate(-(-len(data) // 32) * 32 + weights)


def write_whisper_bin(path: Path, shape: Sequence[int], variables: int = 1) -> None:
    """Write a model.bin of CTranslate2 with variables of one shape, as float16."""
    size = 2 * prod(shape)
    with path.open("wb") as file:
        file.write(struct.pack("<I", 6) + _short("WhisperSpec") + struct.pack("<II", 3, variables))
        for number in range(variables):
            file.write(_short(f"variable{number}") + struct.pack("<B", len(shape)))
            file.write(struct.pack(f"<{len(shape)}I", *shape) + struct.pack("<BI", 4, size))
            file.truncate(file.seek(size, 1))


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def _short(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def _value(value: Any) -> bytes:
    match value:
        case str():
            return struct.pack("<I", 8) + _text(value)
        case int():
            return struct.pack("<II", 4, value)
        case [str(), *_]:
            return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_text, value))
        case _:
            return struct.pack(f"<IIQ{len(value)}I", 9, 4, len(value), *value)


def write_ranker(folder: Path) -> None:
    """Write a BERT that ranks, without weights, as `write_embedder` does."""
    ranks = {"num_labels": 1, "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
    write_embedder(folder, architectures=["BertForSequenceClassification"], **ranks)


def write_embedder(folder: Path, **changes: Any) -> None:
    """Write a BERT without weights for `vllm --runner pooling --load-format dummy`."""
    bert = {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_size": 256,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "intermediate_size": 512,
        "vocab_size": 2048,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "position_embedding_type": "absolute",
        "pad_token_id": 2,
        "torch_dtype": "float32",
    }
    tokenizer = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": 512,
        "clean_up_tokenization_spaces": False,
        "pad_token": "<pad>",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "cls_token": "<s>",
        "sep_token": "</s>",
    }
    folder.mkdir()
    write_json(folder / "config.json", bert | changes)
    write_json(folder / "tokenizer_config.json", tokenizer)
    byte_level_tokenizer(2048).save(str(folder / "tokenizer.json"))
