"""This module turns what JSON holds back into frozen dataclasses, by their types."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from itertools import repeat
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

# what reading plain data raises where a file was damaged: each reader makes one sentence of it
ODD_DATA = (
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)


def from_plain(kind: Any, data: Any) -> Any:
    """Return the value of a type that `dataclasses.asdict` and JSON turned into plain data.

    Args:
        kind: A dataclass of dataclasses, sequences, mappings by text, paths, optional and plain
            values; of several dataclasses it is the first that has every field of the data.
        data: The plain data.

    Raises:
        KeyError: The data has a field that the dataclass lacks.
        TypeError: A field is missing, or of another kind.
        ValueError: A name is none of an enum, or a tuple of another length.

    >>> from_plain(tuple[int, ...] | None, [1, 2]), from_plain(tuple[int, ...] | None, None)
    ((1, 2), None)
    """
    if is_dataclass(kind):
        return _dataclass(kind, mapping_of(data))
    if isinstance(kind, type):
        return kind(data) if issubclass(kind, (Enum, Path)) else data
    arguments = [a for a in get_args(kind) if a is not types.NoneType]
    match get_origin(kind):
        case typing.Union | types.UnionType if data is not None:
            return from_plain(_that_fits(arguments, data), data)
        case origin if origin in (tuple, Sequence):
            is_of_one = origin is Sequence or Ellipsis in arguments
            kinds = repeat(arguments[0]) if is_of_one else arguments
            pairs = zip(kinds, data, strict=not is_of_one)
            return tuple(from_plain(k, v) for k, v in pairs)
        case origin if origin is Mapping:
            return {k: from_plain(arguments[1], v) for k, v in mapping_of(data).items()}
    return data


@cache  # they are evaluated anew at each call, which costs a hundred times a whole reply
def _hints(kind: Any) -> Mapping[str, Any]:
    return get_type_hints(kind)


def _dataclass(kind: Any, data: Mapping[str, Any]) -> Any:
    hints = _hints(kind)
    return kind(**{name: from_plain(hints[name], value) for name, value in data.items()})


def _that_fits(types: Sequence[Any], data: Any) -> Any:
    """Return the first dataclass that has every field of the data, else the first type."""
    names = set(data) if isinstance(data, Mapping) else set()
    dataclasses = (k for k in types if is_dataclass(k))
    return next((k for k in dataclasses if names <= {f.name for f in fields(k)}), types[0])


def mapping_of(data: Any) -> Mapping[str, Any]:
    """Return the data.

    Raises:
        TypeError: It is no mapping.
    """
    if not isinstance(data, Mapping):
        raise TypeError(f"{str(data)[:40]!r} is no mapping")
    return data
