"""The layout of vLLM's KV cache tells the bytes of a block, and how many blocks a request takes.

It follows `v1/core/kv_cache_utils.py`: layers of one kind are shared out to groups of equal size,
which draw their blocks from one pool.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from objectives.engines.vllm.fit.options import CACHE_BYTES, VllmOptions
from objectives.model_files.model import served_bytes
from objectives.model_files.shape import Shape
from objectives.plain_data.units import MIB

CONCURRENT_STEPS = 2  # vLLM prepares one step while another runs


@dataclass(frozen=True, slots=True)
class KvLayout:
    """A layout says how a KV cache is divided.

    Args:
        block_bytes: What a block of the pool takes.
        block_size: How many tokens a block has.
        groups: The groups of layers with their windows, tokens; None keeps all.
        in_flight: How many tokens are computed at once at most.
    """

    block_bytes: int
    block_size: int
    groups: tuple[int | None, ...]
    in_flight: int

    @property
    def token_bytes(self) -> float:
        """Return what one more token takes while every layer keeps it."""
        return self.block_bytes * len(self.groups) / self.block_size

    def blocks_of(self, length: int) -> int:
        """Return how many blocks a request of some tokens takes."""
        return sum(self._blocks(length, window) for window in self.groups)

    def _blocks(self, length: int, window: int | None) -> int:
        if window is None:
            return -(-length // self.block_size)
        return -(-min(window - 1 + self.in_flight, length) // self.block_size) + 1

    def request_mib(self, length: int) -> float:
        """Return what a request of some tokens takes, MiB."""
        return self.blocks_of(length) * self.block_bytes / MIB

    def tokens(self, cache_mib: float, length: int) -> int:
        """Return the size of a cache as vLLM tells it: tokens of requests of the longest length."""
        blocks = self._count(cache_mib)
        if self.groups == (None,):
            return blocks * self.block_size
        return int(blocks / self.blocks_of(length) * length)

    def longest(self, cache_mib: float, most: int) -> int:
        """Return the longest request that a cache holds, at most the model's; 0 where none."""
        blocks, low, high = self._count(cache_mib), 0, most
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.blocks_of(middle) <= blocks else (low, middle - 1)
        return low

    def at_once(self, cache_mib: float, length: int) -> int:
        """Return how many requests of some tokens a cache holds at once."""
        return self._count(cache_mib) // self.blocks_of(length)

    def _count(self, cache_mib: float) -> int:
        return max(0, int(cache_mib * MIB / self.block_bytes))


def kv_layout(shape: Shape, options: VllmOptions) -> KvLayout | str:
    """Return how the KV cache of a model is divided, or why that is not known.

    Args:
        shape: The model.
        options: How it is served.
    """
    attention = shape.attention
    if attention.unknown:
        return attention.unknown
    if options.cache_dtype == "auto":
        size = 1 if attention.has_fp8 else served_bytes(shape, options.dtype)
    elif options.cache_dtype in CACHE_BYTES:
        size = CACHE_BYTES[options.cache_dtype]
    else:
        return f"the bytes of --kv-cache-dtype {options.cache_dtype[:40]} are not known"
    numbers = attention.numbers
    if not attention.has_latent:
        heads = attention.kv_heads
        numbers = numbers // heads * max(1, heads // options.tensor_parallel)
    kinds = Counter(attention.windows)
    group = _group_size(list(kinds.values()))
    groups = tuple(window for window, layers in kinds.items() for _ in range(-(-layers // group)))
    return KvLayout(
        block_bytes=options.block_size * numbers * size * group,
        block_size=options.block_size,
        groups=groups,
        in_flight=CONCURRENT_STEPS * options.max_num_batched_tokens,
    )


def _group_size(counts: list[int]) -> int:
    """Return how many layers a group has: the rarer kind's, or the other's where they are near."""
    least, most = min(counts), max(counts)
    return most if most < 1.5 * least else least
