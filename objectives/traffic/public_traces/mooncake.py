"""Mooncake's traces have a JSON line a request, in ms, with the ids of prompt blocks of 512 tokens.

Qin et al., "Mooncake: Trading More Storage for Less Computation", FAST 2025.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from objectives.traffic.public_traces.fields import hash_ids, required, seconds, tokens

COLUMNS = ("timestamp", "input_length", "output_length")
EXAMPLE = '{"timestamp": 27482, "input_length": 700, "output_length": 52, "hash_ids": [46, 47]}'
BLOCK_TOKENS = 512


def stamp_s(value: Any) -> float:
    """Return the time of a request, seconds."""
    return seconds("timestamp", value, 1e-3)


def sizes(fields: Mapping[str, Any]) -> tuple[int, int, tuple[int, ...]]:
    """Return the tokens of prompt and answer, and the ids of the prompt's blocks."""
    return sizes_in(fields, BLOCK_TOKENS)


def sizes_in(fields: Mapping[str, Any], block_tokens: int) -> tuple[int, int, tuple[int, ...]]:
    """Return the tokens of prompt and answer, and the ids of blocks of this many tokens."""
    prompt, answer = (tokens(name, required(fields, name)) for name in COLUMNS[1:])
    return prompt, answer, hash_ids(fields.get("hash_ids", []), prompt, block_tokens)
