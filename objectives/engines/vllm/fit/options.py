"""The options that decide the memory of a vLLM server are read from the words of its command."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from objectives.engines.vllm.flags import read_number
from objectives.model_files.shape import Shape

GIB_MIB = 1024
DEFAULT_LENGTH = 2048  # vLLM's own, where a model tells none
SHORT = {"-tp": "--tensor-parallel-size", "-q": "--quantization", "-pp": "--pipeline-parallel-size"}
# what changes memory in ways that the files do not tell
UNCOUNTED = (
    *("--speculative-config", "--speculative-model", "--enable-lora", "--cpu-offload-gb"),
    *("--pipeline-parallel-size", "--hf-overrides", "--num-gpu-blocks-override", "--config"),
    *("--compilation-config", "-cc", "--kv-transfer-config", "--mamba-cache-dtype"),
)
CACHE_BYTES = {"fp8": 1, "fp8_e4m3": 1, "fp8_e5m2": 1, "fp8_inc": 1, "float16": 2, "bfloat16": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmOptions:
    """The options are what a command says, with vLLM's own defaults where it says nothing.

    Args:
        max_model_len: The longest request, tokens; None lets vLLM find what fits.
        max_num_batched_tokens: The most tokens of one step.
        max_num_seqs: The most requests of one step.
        is_eager: Whether no CUDA graphs are captured.
        graph_sizes: How many sizes of a batch are captured.
        cache_dtype: The number format of the KV cache; `auto` is the model's own.
        dtype: The number format of the weights; `auto` is the model's own.
        block_size: How many tokens a block of the KV cache has.
        tensor_parallel: Over how many devices each layer is spread.
        cache_mib: The KV cache that the command asks for, whatever the share, MiB; None without.
        is_random: Whether the weights are made up, and no files read.
        quantization: How the command asks for weights to be quantized; None leaves it to the files.
        is_text_only: Whether no images, sounds or films are taken.
        uncounted: The flags that change memory in ways that are not counted here.
    """

    max_model_len: int | None
    max_num_batched_tokens: int
    max_num_seqs: int
    is_eager: bool
    graph_sizes: int
    cache_dtype: str
    dtype: str
    block_size: int
    tensor_parallel: int
    cache_mib: float | None
    is_random: bool
    quantization: str | None
    is_text_only: bool
    uncounted: tuple[str, ...]


def vllm_options(
    argv: Sequence[str], shape: Shape, *, total_mib: float, product: str, is_cpu: bool
) -> VllmOptions:
    """Return the options of a command.

    Args:
        argv: Its words.
        shape: The model that it serves.
        total_mib: The memory of the device, MiB: vLLM's defaults depend on it.
        product: The name of the device, since an A100 has defaults of its own.
        is_cpu: Whether it serves on the CPU.
    """
    flags = _flags(argv)
    length = read_number(flags.get("--max-model-len"))
    if "--max-model-len" not in flags:
        length = shape.max_positions or DEFAULT_LENGTH
    seqs, batched = _defaults(total_mib, product, is_cpu=is_cpu)
    max_num_seqs = read_number(flags.get("--max-num-seqs")) or seqs
    most = max_num_seqs * (length or shape.max_positions or DEFAULT_LENGTH)
    max_num_batched_tokens = read_number(flags.get("--max-num-batched-tokens")) or min(
        batched, most
    )
    largest = read_number(flags.get("--max-cudagraph-capture-size")) or min(2 * max_num_seqs, 512)
    sizes = _graph_sizes(min(largest, max_num_batched_tokens))
    is_eager = is_cpu or _is_on(flags, "--enforce-eager")
    cache = flags.get("--kv-cache-memory-bytes") or flags.get("--kv-cache-memory")
    cache_bytes = read_number(cache)
    return VllmOptions(
        max_model_len=length,
        max_num_batched_tokens=max_num_batched_tokens,
        max_num_seqs=max_num_seqs,
        is_eager=is_eager,
        graph_sizes=0 if is_eager else sizes,
        cache_dtype=flags.get("--kv-cache-dtype") or "auto",
        dtype=flags.get("--dtype") or "auto",
        block_size=read_number(flags.get("--block-size")) or (128 if is_cpu else 16),
        tensor_parallel=read_number(flags.get("--tensor-parallel-size")) or 1,
        cache_mib=None if cache_bytes is None else cache_bytes / 2**20,
        is_random=flags.get("--load-format") == "dummy",
        quantization=flags.get("--quantization"),
        is_text_only=_is_on(flags, "--language-model-only"),
        uncounted=tuple(f for f in flags if f.partition(".")[0] in UNCOUNTED or f[:2] == "-O"),
    )


def _flags(argv: Sequence[str]) -> dict[str, str]:
    """Return the values of flags by their long names; the last one of several counts.

    >>> _flags(["-m", "vllm", "--enforce-eager", "--max_num_seqs=64", "-tp", "2"])
    {'-m': 'vllm', '--enforce-eager': '', '--max-num-seqs': '64', '--tensor-parallel-size': '2'}
    """
    flags: dict[str, str] = {}
    for word, following in zip(argv, [*argv, "-"][1:], strict=True):
        if not re.match(r"--?[A-Za-z]", word):
            continue
        name, sign, value = word.partition("=")
        if not sign and not re.match(r"--?[A-Za-z]", following) and following != "-":
            value = following
        name = name.replace("_", "-") if name.startswith("--") else name
        flags[SHORT.get(name, name)] = value
    return flags


def _is_on(flags: dict[str, str], name: str) -> bool:
    """Return whether a flag without a value was given, and not taken back."""
    order = list(flags)
    negation = name.replace("--", "--no-", 1)
    return name in flags and (negation not in flags or order.index(negation) < order.index(name))


def _defaults(total_mib: float, product: str, *, is_cpu: bool) -> tuple[int, int]:
    """Return max_num_seqs and max_num_batched_tokens of the server (`get_batch_defaults`)."""
    if is_cpu:
        return 128, 2048
    if total_mib >= 160 * GIB_MIB:
        return 1024, 16384
    if total_mib >= 70 * GIB_MIB and "a100" not in product.lower():
        return 1024, 8192
    return 256, 2048


def _graph_sizes(largest: int) -> int:
    """Return how many sizes of a batch are captured up to the largest (`_set_cudagraph_sizes`).

    >>> _graph_sizes(128), _graph_sizes(256), _graph_sizes(512), _graph_sizes(2**40)
    (19, 35, 51, 68719476755)
    """
    small: int = sum(size <= largest for size in [1, 2, 4, *range(8, 256, 8)])
    return small + len(range(256, largest + 1, 16))
