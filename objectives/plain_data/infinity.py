"""JSON has no infinity: in plain data an infinite figure is the string "inf"."""

from __future__ import annotations

import math
from enum import Enum
from typing import Any

PLAIN = (int, str)
NUMBERS = (int, float)  # most of what a measurement holds, which is looked at no further


def plain(value: Any) -> Any:
    """Return the same for JSON: tuples become lists, an infinite figure the string "inf".

    A dataclass becomes a dictionary.

    >>> plain({"ladder": ({"p95_ms": float("inf")},)})
    {'ladder': [{'p95_ms': 'inf'}]}
    """
    if value is None or type(value) in PLAIN:
        return value
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, Enum):
        return value.value
    if (names := getattr(type(value), "__dataclass_fields__", None)) is not None:
        return {name: plain(getattr(value, name)) for name in names}
    return "inf" if value == math.inf else value


def with_infinity(value: Any) -> Any:
    """Return plain data with infinite figures as numbers again, at any depth.

    >>> with_infinity({"ladder": [{"p95_ms": "inf"}]})
    {'ladder': [{'p95_ms': inf}]}
    """
    if value is None or type(value) in NUMBERS:
        return value
    if isinstance(value, dict):
        return {k: v if type(v) in NUMBERS else with_infinity(v) for k, v in value.items()}
    if isinstance(value, list):
        return [v if type(v) in NUMBERS else with_infinity(v) for v in value]
    return math.inf if value == "inf" else value
