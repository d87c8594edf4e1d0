"""This module reads the limits of a command line."""

from __future__ import annotations

from collections.abc import Sequence

from objectives.capacity.limits import SHORT_NAMES
from objectives.errors import BadInput


def limits_in(texts: Sequence[str]) -> dict[str, float]:
    """Return limits that are written NAME=MS, ms by full name.

    Raises:
        BadInput: One is not written so, or two have one name.

    >>> limits_in(["llm_tpot_p95_ms=80", "ttft_ms=1500"])
    {'llm_tpot_p95_ms': 80.0, 'llm_ttft_p95_ms': 1500.0}
    """
    limits_ms: dict[str, float] = {}
    for text in texts:
        name, _, value = text.partition("=")
        name = SHORT_NAMES.get(name, name)
        if name in limits_ms:
            raise BadInput(f"--limits gives {name} twice; leave one out")
        try:
            limits_ms[name] = float(value)
        except ValueError:
            example = "llm_ttft_p95_ms=1500"
            raise BadInput(f"--limits {text}: write NAME=MS, e.g. {example}") from None
    return limits_ms
