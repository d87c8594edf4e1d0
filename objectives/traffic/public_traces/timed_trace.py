"""vLLM's `timed_trace` has a JSON line a request, in seconds, with the ids of blocks of 16 tokens.

So `vllm bench serve --dataset-name timed_trace` replays it by its defaults; the usage traces of
Alibaba's Bailian (Qwen) are of this kind. What `capture` writes is told apart by its first line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from objectives.traffic.public_traces import mooncake
from objectives.traffic.public_traces.fields import seconds

COLUMNS = mooncake.COLUMNS
EXAMPLE = '{"timestamp": 61.114, "input_length": 30, "output_length": 132, "hash_ids": [7, 8]}'
BLOCK_TOKENS = 16


def stamp_s(value: Any) -> float:
    """Return the time of a request, seconds."""
    return seconds("timestamp", value)


def sizes(fields: Mapping[str, Any]) -> tuple[int, int, tuple[int, ...]]:
    """Return the tokens of prompt and answer, and the ids of the prompt's blocks."""
    return mooncake.sizes_in(fields, BLOCK_TOKENS)
