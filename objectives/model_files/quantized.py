"""This module counts quantized weights by a model's configuration, where no files tell them."""

from __future__ import annotations

from objectives.model_files.json_file import inner, whole
from objectives.model_files.parameters import matrices, parameters
from objectives.model_files.shape import Shape

GROUPED = ("awq", "gptq")  # a scale and a zero for each group of inputs
BITS = (2, 3, 4, 8)
KEPT_ANYWAY = ("lm_head", "model.embed_tokens", "embed_tokens")  # never among the packed ones


def quantized_bytes(shape: Shape, size: int) -> float | None:
    """Return the bytes of a model's weights; None where its configuration does not tell.

    The matrices of its layers are packed; embeddings, head and norms are numbers of the server's.

    Args:
        shape: Its shape, of a dense model.
        size: The bytes of a number as the server has it.
    """
    count, packed, each = parameters(shape), matrices(shape), _bytes_each(shape)
    if count is None or packed is None or each is None:
        return None
    return (count - packed) * size + packed * each


def _bytes_each(shape: Shape) -> float | None:
    """Return the bytes of a packed parameter with its part of scale and zero."""
    config = inner(shape.text, "quantization_config")
    spared = config.get("modules_to_not_convert") or config.get("ignored_layers") or ()
    if not isinstance(spared, list | tuple) or any(name not in KEPT_ANYWAY for name in spared):
        return None
    if shape.quantization == "fp8":
        return 1.0
    bits, group = whole(config.get("bits")), whole(config.get("group_size"))
    if shape.quantization not in GROUPED or bits not in BITS or not group:
        return None
    return bits / 8 + (bits / 8 + 2) / group
