"""The values of a compose file are read as lists, pairs and words, with variables filled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from study.init_spec.forms.expansion import expanded
from study.init_spec.forms.words import Operator, Word, of_text, split


def items_of(value: object) -> list[Any]:
    """Return a list as it is, one value as a list of it, and nothing as an empty one."""
    return [] if value is None else value if isinstance(value, list) else [value]


def pairs_of(value: object, values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield variables of a mapping, or of a list of NAME=VALUE; a bare name is the caller's own."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key), plain(item) if item is not None else values.get(str(key), "")
    for item in items_of(value) if not isinstance(value, Mapping) else ():
        name, is_given, text = str(item).partition("=")
        yield name, text if is_given else f"${{{name}}}"


def lines_of(value: object) -> list[str]:
    """Return variables as a list of NAME=VALUE, or of a bare name."""
    if not isinstance(value, Mapping):
        return [str(item) for item in items_of(value)]
    return [str(k) if v is None else f"{k}={plain(v)}" for k, v in value.items()]


def plain(value: object) -> str:
    """Return a value as it stands in YAML: true and false in small letters."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def words_of(value: object) -> list[Word]:
    """Return the words of a command that is a list, or a text to split."""
    if isinstance(value, list):
        return [of_text(plain(v)) for v in value]
    words = split(str(value), "compose") if value is not None else []
    return [w for w in words if not isinstance(w, Operator)]


def filled(words: Sequence[Word], values: Mapping[str, str]) -> Iterator[str]:
    """Yield words with the variables in them filled."""
    for word in words:
        yield from expanded(word, values)


def text_of(value: object, values: Mapping[str, str]) -> str:
    """Return a value as text with the variables in it filled."""
    return "".join(expanded(of_text(plain(value)), values))
