"""The fields of a trace's line are read here; a ValueError says what is wrong with one. Pure."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from typing import Any

MOST_TOKENS = 10_000_000
MOST_S = 1e10  # above any date in seconds
# the tokens of a block by format, with what tells the other one
FORMAT_OF_BLOCKS = {16: "timed_trace", 512: "mooncake"}


def csv_fields(text: str, count: int) -> list[str]:
    """Return the fields of a line of CSV, of which there are as many as the header has."""
    try:
        fields = text.split(",") if '"' not in text else next(csv.reader([text], strict=True))
    except csv.Error as error:
        raise ValueError(f"it is no CSV ({error})") from error
    if len(fields) != count:
        raise ValueError(f"it has {len(fields)} fields, and the header {count}")
    return fields


def json_fields(text: str) -> Mapping[str, Any]:
    """Return the object of a line of JSON."""
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_refused)
    except RecursionError:
        raise ValueError("it is no JSON of a request") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON ({error.msg})") from error
    except ValueError as error:  # what was refused, or a number of thousands of digits
        raise ValueError(f"it is no JSON of a request ({str(error)[:80]})") from error
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004  one kind of error for a line
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key is there twice")
    return dict(pairs)


def _refused(text: str) -> float:
    raise ValueError(f"{text} is no number")


def required(fields: Mapping[str, Any], name: str) -> Any:
    """Return a field that must be there."""
    if name not in fields:
        raise ValueError(f"{name} is missing")
    return fields[name]


def seconds(name: str, value: Any, unit_s: float = 1.0) -> float:
    """Return a time from 0, seconds; a text of CSV is a number too."""
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0 <= number * unit_s <= MOST_S:
        raise ValueError(f"{name} is {short(value)}, not a time from 0")
    return number * unit_s


def tokens(name: str, value: Any) -> int:
    """Return a number of tokens from 0; a text of CSV is a number too."""
    whole = value.strip() if isinstance(value, str) else value
    if isinstance(whole, str) and whole.isascii() and whole.isdecimal() and len(whole) < 20:
        whole = int(whole)
    if type(whole) is not int or not 0 <= whole <= MOST_TOKENS:
        raise ValueError(f"{name} is {short(value)}, not a whole number from 0 to {MOST_TOKENS:,}")
    return whole


def hash_ids(value: Any, prompt_tokens: int, block_tokens: int) -> tuple[int, ...]:
    """Return the ids of a prompt's blocks: of all of them, of whole ones only, or none."""
    if not isinstance(value, list) or not all(type(n) is int and 0 <= n < 2**64 for n in value):
        raise ValueError(f"hash_ids is {short(value)}, not a list of whole numbers from 0")
    if not _fits(len(value), prompt_tokens, block_tokens):
        others = (n for n in FORMAT_OF_BLOCKS if _fits(len(value), prompt_tokens, n))
        hint = next((f" but {n} (`format: {FORMAT_OF_BLOCKS[n]}`?)" for n in others), "")
        raise ValueError(
            f"{len(value)} hash_ids for {prompt_tokens} tokens of prompt are not blocks of "
            f"{block_tokens}{hint}"
        )
    return tuple(value)


def _fits(ids: int, prompt_tokens: int, block_tokens: int) -> bool:
    whole, rest = divmod(prompt_tokens, block_tokens)
    return ids in (0, whole, whole + bool(rest))


def short(value: object) -> str:
    """Return a value as a message quotes it."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
