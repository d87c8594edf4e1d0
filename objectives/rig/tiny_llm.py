"""A tiny random LLM is a model folder without weights that vLLM can serve."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from objectives.errors import BadInput
from objectives.plain_data.atomic import drafted

MARKERS = ("<s>", "</s>", "<pad>")
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ message['role'] + ': ' + message['content'] + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
)


def write_llm(
    folder: Path,
    *,
    hidden_size: int = 64,
    layers: int = 8,
    heads: int = 32,
    kv_heads: int = 32,
    head_dim: int = 128,
    intermediate: int = 64,
    vocab: int = 2048,
    max_positions: int = 4096,
    dtype: str = "float32",
) -> None:
    """Write a model folder for ``vllm --load-format dummy``, whole and in place of an older one.

    One ASCII character is one token, no token is added and every id decodes: a prompt's length is
    known.

    Args:
        folder: The folder of the model.
        hidden_size: The size of its hidden states.
        layers: The number of its layers.
        heads: The number of attention heads of a layer.
        kv_heads: The number of those that have keys and values of their own.
        head_dim: The size of a head.
        intermediate: The size of the feed-forward layer.
        vocab: The number of token ids.
        max_positions: The longest sequence, tokens.
        dtype: The number format of its weights.

    Raises:
        BadInput: The vocabulary is smaller than the bytes and markers.
    """
    if vocab < 256 + len(MARKERS):
        raise BadInput(
            f"a byte-level vocabulary has at least {256 + len(MARKERS)} ids, not {vocab}"
        )
    ids = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
    shape = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": hidden_size,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_dim,
        "vocab_size": vocab,
        "max_position_embeddings": max_positions,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 10_000.0,
        "tie_word_embeddings": False,
        "torch_dtype": dtype,
    }
    tokenizer_config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": max_positions,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }
    with drafted(folder) as draft:
        draft.mkdir(parents=True)
        write_json(draft / "config.json", {**shape, **ids})
        write_json(draft / "generation_config.json", ids)
        write_json(draft / "tokenizer_config.json", tokenizer_config)
        byte_level_tokenizer(vocab).save(str(draft / "tokenizer.json"))
        shutil.rmtree(folder, ignore_errors=True)


def byte_level_tokenizer(vocab: int) -> Tokenizer:
    """Return a byte-level BPE with an entry for each of `vocab` ids.

    They are markers, the 256 bytes, and words that no text reaches. Random weights write any id at
    any time, and an answer without text counts as a failure. So every id decodes to something
    visible: none is special (those are left out), and a lone byte shows as its letter.

    >>> tokenizer = byte_level_tokenizer(300)
    >>> len(tokenizer.encode("twelve").ids), tokenizer.decode([299, 1, 298])
    (6, ' w299</s> w298')
    """
    letters = [*MARKERS, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    words = [f"Ġw{number}" for number in range(len(letters), vocab)]
    entries = {entry: number for number, entry in enumerate([*letters, *words])}
    tokenizer = Tokenizer(models.BPE(entries, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.Sequence([decoders.Replace("Ġ", " "), decoders.Fuse()])
    return tokenizer


def write_json(path: Path, content: object) -> None:
    """Write content as indented JSON."""
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
