"""Prompts are token ids: unlike any other's, but for the prefix that a trace says is shared. Pure.

The ids of a block follow from its hash id by the mixing function of SplitMix64 (Steele, Lea and
Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), all of a prompt at once: a
generator for each block of 16 tokens would keep other requests from leaving on time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from objectives.traffic.workload import Prefix, Request, prompt


def prompt_of(request: Request, vocabulary: int) -> list[int]:
    """Return the prompt of a request: its prefix, and then what no other prompt has.

    Args:
        request: The length of its prompt, its seed and its prefix.
        vocabulary: The number of the model's token ids.
    """
    tokens, prefix = request.prompt_tokens, request.prefix
    if prefix is None:
        return prompt(tokens, request.seed, vocabulary)
    shared = _shared(prefix, tokens, vocabulary)
    return [*shared, *prompt(tokens - len(shared), request.seed, vocabulary)]


def _shared(prefix: Prefix, tokens: int, vocabulary: int) -> list[int]:
    """Return the leading tokens that follow from the ids of blocks, at most `tokens`."""
    first = min(300, vocabulary // 2)  # as in `prompt`
    with np.errstate(over="ignore"):
        ids = _mixed(np.array(prefix.hash_ids, np.uint64) + np.uint64(1))
        own = _mixed(ids ^ _mixed(np.array([prefix.seed % 2**64], np.uint64)))
        places = np.arange(1, prefix.block_tokens + 1, dtype=np.uint64)
        values = _mixed(own[:, None] + places * np.uint64(0x9E3779B97F4A7C15)).ravel()[:tokens]
    return [int(v) for v in first + (values >> np.uint64(11)) % np.uint64(vocabulary - first)]


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return values of 64 bits, each a one-to-one scramble of the one given."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: npt.NDArray[np.uint64] = values ^ (values >> np.uint64(31))
    return mixed
