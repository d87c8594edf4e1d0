"""This command writes a tiny random GGUF file that llama.cpp serves: `python tiny_gguf.py FILE`.

One ASCII character is one token, as in the tiny model for vLLM; a token takes 16 KiB of KV cache,
so that a context of 65,536 takes 1 GiB. It is run by an interpreter that has the package gguf, and
imports nothing of ours.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gguf  # type: ignore[import-not-found]
import numpy as np

LAYERS, HEADS, WIDTH, OF_A_HEAD, VOCABULARY, CONTEXT = 8, 8, 64, 64, 2048, 32768
MARKERS = ("<s>", "</s>", "<pad>")


def letters() -> list[str]:
    """Return the letter by which GPT-2's vocabularies show each byte."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {byte: chr(byte) for byte in shown}
    hidden = (byte for byte in range(256) if byte not in table)
    table |= {byte: chr(256 + n) for n, byte in enumerate(hidden)}
    return [table[byte] for byte in range(256)]


def write(file: Path) -> None:
    """Write the file, whole."""
    draft = file.with_suffix(".draft")
    to = gguf.GGUFWriter(str(draft), "llama")
    to.add_name("tiny-random")
    to.add_context_length(CONTEXT)
    to.add_embedding_length(WIDTH)
    to.add_block_count(LAYERS)
    to.add_feed_forward_length(WIDTH)
    to.add_head_count(HEADS)
    to.add_head_count_kv(HEADS)
    to.add_key_length(OF_A_HEAD)
    to.add_value_length(OF_A_HEAD)
    to.add_rope_dimension_count(OF_A_HEAD)
    to.add_layer_norm_rms_eps(1e-5)
    to.add_vocab_size(VOCABULARY)
    to.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    _add_words(to)
    random = np.random.default_rng(0)

    def matrix(name: str, rows: int, columns: int) -> None:
        numbers = random.standard_normal((rows, columns), dtype=np.float32) * 0.05
        to.add_tensor(name, numbers.astype(np.float16))

    matrix("token_embd.weight", VOCABULARY, WIDTH)
    for n in range(LAYERS):
        to.add_tensor(f"blk.{n}.attn_norm.weight", np.ones(WIDTH, np.float32))
        for part in "qkv":
            matrix(f"blk.{n}.attn_{part}.weight", HEADS * OF_A_HEAD, WIDTH)
        matrix(f"blk.{n}.attn_output.weight", WIDTH, HEADS * OF_A_HEAD)
        to.add_tensor(f"blk.{n}.ffn_norm.weight", np.ones(WIDTH, np.float32))
        for part in ("gate", "up", "down"):
            matrix(f"blk.{n}.ffn_{part}.weight", WIDTH, WIDTH)
    to.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
    matrix("output.weight", VOCABULARY, WIDTH)
    to.write_header_to_file()
    to.write_kv_data_to_file()
    to.write_tensors_to_file()
    to.close()
    draft.replace(file)


def _add_words(to: gguf.GGUFWriter) -> None:
    kind, bytes_ = gguf.TokenType, letters()
    tokens = [*MARKERS, *bytes_]
    kinds = [kind.USER_DEFINED, kind.CONTROL, kind.USER_DEFINED]
    # a lone byte that is no letter shows as its letter
    kinds += [kind.NORMAL if 32 <= byte < 127 else kind.USER_DEFINED for byte in range(256)]
    words = [f"Ġw{n}" for n in range(len(tokens), VOCABULARY)]
    to.add_tokenizer_model("gpt2")
    to.add_tokenizer_pre("gpt-2")
    to.add_token_list([*tokens, *words])
    to.add_token_types([*kinds, *(kind.NORMAL for _ in words)])
    to.add_token_merges([f"{bytes_[254]} {bytes_[255]}"])  # in no text: nothing is ever merged
    to.add_bos_token_id(0)
    to.add_eos_token_id(1)
    to.add_pad_token_id(2)
    to.add_add_bos_token(False)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
