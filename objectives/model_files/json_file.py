"""A model's folder has JSON objects, read here within bounds; errors name file and way out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from objectives.errors import SetupError
from objectives.plain_data.units import MIB

MOST_BYTES = 64 * MIB  # the largest index that is known, of a thousand billion parameters, has 15
AGAIN = "download the model again (`hf download ID`), or name another folder"


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file of at most `MOST_BYTES`.

    Raises:
        SetupError: It cannot be read, or holds none.
    """
    try:
        if not path.is_file():
            raise SetupError(f"{path}: there is no such file; {AGAIN}")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise SetupError(f"{path}: it cannot be read ({error.strerror}); {AGAIN}") from error
    if len(data) > MOST_BYTES:
        raise SetupError(f"{path}: it has more than {MOST_BYTES // MIB} MiB; {AGAIN}")
    return parsed(data, path)


def parsed(data: bytes, path: Path) -> dict[str, Any]:
    """Return the JSON object in bytes of a file.

    Raises:
        SetupError: They hold none.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SetupError(f"{path}: it is not JSON ({_short(error)}); {AGAIN}") from error
    if not isinstance(value, dict):
        raise SetupError(f"{path}: it holds no JSON object; {AGAIN}")
    return value


def whole(value: object, *, least: int = 1, most: int = 10**9) -> int | None:
    """Return a value that is a whole number in bounds, and None for every other one.

    >>> whole(48), whole(48.0), whole("48"), whole(True), whole(-1)
    (48, 48, None, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not least <= value <= most or value != int(value):
        return None
    return int(value)


def inner(values: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return the first of some values that is an object; an empty one where none is."""
    return next((dict(v) for n in names if isinstance(v := values.get(n), dict)), {})


@cache
def config_number(model: str, key: str) -> int | None:
    """Return a number of a model's text part by its config.json; None where that does not tell."""
    try:
        config = read_object(Path(model) / "config.json")
    except SetupError:
        return None
    return whole(config.get(key)) or whole(inner(config, "text_config").get(key))


def _short(error: Exception) -> str:
    return str(error)[:80] or type(error).__name__
