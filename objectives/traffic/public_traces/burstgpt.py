"""BurstGPT has a CSV line a request to ChatGPT or GPT-4, with seconds since the first midnight.

A request that failed has no response tokens. Files of release 2 have `Session ID` and `Elapsed
time` besides. Wang et al., "BurstGPT: A Real-world Workload Dataset to Optimize LLM Serving
Systems", arXiv:2401.17644.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from objectives.traffic.public_traces.fields import seconds, tokens

COLUMNS = ("Timestamp", "Request tokens", "Response tokens")
EXAMPLE = "5,ChatGPT,472,18,490,Conversation log"
BLOCK_TOKENS = 0


def stamp_s(value: Any) -> float:
    """Return the time of a request, seconds."""
    return seconds("Timestamp", value)


def sizes(fields: Mapping[str, Any]) -> tuple[int, int, tuple[int, ...]]:
    """Return the tokens of prompt and answer; nothing is known of prefixes."""
    prompt, answer = (tokens(name, fields[name]) for name in COLUMNS[1:])
    return prompt, answer, ()
