"""A Whisper model with random weights has the memory and time of its size, but not its words.

No package ships the weights of Whisper small. A model of its shape holds as much memory and
computes as long for as many tokens; so its output length is fixed (`random_weights` in a spec) and
its word error rate is not measured.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
from ctranslate2.specs import LayerSpec, WhisperSpec  # type: ignore[import-untyped]

from objectives.plain_data.atomic import drafted
from objectives.rig.tiny_llm import write_json

POSITIONS_AUDIO, POSITIONS_TEXT, MELS = 1500, 448, 80


def write_whisper(
    folder: Path, like: Path, *, width: int = 768, layers: int = 12, heads: int = 12, seed: int = 0
) -> None:
    """Write a CTranslate2 model in float16, whole and in place of an older one.

    Its shape is that of Whisper small by default.

    Args:
        folder: The folder of the model.
        like: The folder of a real multilingual model, whose tokenizer and vocabulary are taken.
        width: The size of its hidden states.
        layers: The number of layers of the encoder, and of the decoder.
        heads: The number of attention heads of a layer.
        seed: The seed of the weights.
    """
    tokens = (like / "vocabulary.txt").read_text("utf-8").removesuffix("\n").split("\n")
    spec = WhisperSpec(layers, heads, layers, heads)
    random = np.random.default_rng(seed)

    def matrix(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float16]]:
        return (random.standard_normal(shape, dtype=np.float32) * 0.02).astype(np.float16)

    def linear(layer: LayerSpec, outputs: int, inputs: int) -> None:
        layer.weight, layer.bias = matrix(outputs, inputs), np.zeros(outputs, np.float16)

    def norm(layer: LayerSpec) -> None:
        layer.gamma, layer.beta = np.ones(width, np.float16), np.zeros(width, np.float16)

    def attention(layer: LayerSpec, *outputs: int) -> None:
        norm(layer.layer_norm)
        for one, size in zip(layer.linear, outputs, strict=True):
            linear(one, size, width)

    encoder, decoder = spec.encoder, spec.decoder
    encoder.conv1.weight, encoder.conv1.bias = matrix(width, MELS, 3), np.zeros(width, np.float16)
    encoder.conv2.weight, encoder.conv2.bias = matrix(width, width, 3), np.zeros(width, np.float16)
    encoder.position_encodings.encodings = matrix(POSITIONS_AUDIO, width)
    decoder.position_encodings.encodings = matrix(POSITIONS_TEXT, width)
    decoder.embeddings.weight = matrix(len(tokens), width)
    decoder.projection.weight = decoder.embeddings.weight
    for part in (encoder, decoder):
        norm(part.layer_norm)
        for block in part.layer:
            attention(block.self_attention, 3 * width, width)
            if part is decoder:
                attention(block.attention, width, 2 * width, width)
            norm(block.ffn.layer_norm)
            linear(block.ffn.linear_0, 4 * width, width)
            linear(block.ffn.linear_1, width, 4 * width)
    config = json.loads((like / "config.json").read_text("utf-8"))
    config["alignment_heads"] = [[layers - 1, 0]]  # for word timestamps, which nothing reads here
    spec.register_vocabulary(tokens)
    spec.validate()
    spec.optimize(quantization="float16")
    with drafted(folder) as draft:
        draft.mkdir(parents=True)
        spec.save(str(draft))
        shutil.copy(like / "tokenizer.json", draft)
        write_json(draft / "config.json", config)
        shutil.rmtree(folder, ignore_errors=True)
