"""Azure's LLM inference traces, of 2023 and 2024, have a CSV line a request, with date and time.

Patel et al., "Splitwise: Efficient Generative LLM Inference Using Phase Splitting", ISCA 2024.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from objectives.traffic.public_traces.fields import short, tokens

COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
EXAMPLE = "2023-11-16 18:15:46.6805900,374,44"
BLOCK_TOKENS = 0


def stamp_s(text: str) -> float:
    """Return the time of a request, seconds; fractions of seven digits are cut to six."""
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"TIMESTAMP is {short(text)}, not such as {EXAMPLE[:27]}") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def sizes(fields: Mapping[str, Any]) -> tuple[int, int, tuple[int, ...]]:
    """Return the tokens of prompt and answer; nothing is known of prefixes."""
    prompt, answer = (tokens(name, fields[name]) for name in COLUMNS[1:])
    return prompt, answer, ()
