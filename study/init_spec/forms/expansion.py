"""The variables of a word are filled in, by which it may become several words, or none."""

from __future__ import annotations

import re
from collections.abc import Mapping

from study.init_spec.forms.words import Operator, Word, WordPart, split


def names_in(word: Word) -> set[str]:
    """Return the variables that a word names."""
    return {p.name for p in word if p.name is not None}


def expanded(word: Word, values: Mapping[str, str | tuple[str, ...]]) -> list[str]:
    """Return the words that a word becomes; a variable that is not set is empty.

    >>> word = (WordPart("--a="), WordPart("${B:-1 2}", "B", "1 2", ":-"))
    >>> expanded(word, {}), expanded(word, {"B": "3"})
    (['--a=1 2'], ['--a=3'])
    >>> expanded((WordPart("$C", "C", splits=True),), {"C": "x y"})
    ['x', 'y']
    >>> expanded((WordPart("$C", "C"),), {})
    ['']
    """
    done: list[str] = []
    text, is_there = "", False
    for part in word:
        value = _value(part, values)
        if isinstance(value, tuple):
            if value:
                done += [text + value[0], *value[1:]]
                text, is_there = done.pop(), True
            continue
        if not part.splits:
            text, is_there = text + value, True
            continue
        pieces = re.split(r"\s+", value)
        for n, piece in enumerate(pieces):
            if n and (text or is_there):
                done.append(text)
                text, is_there = "", False
            text += piece
            is_there = is_there or bool(piece)
    return [*done, text] if text or is_there else done


def _value(part: WordPart, values: Mapping[str, str | tuple[str, ...]]) -> str | tuple[str, ...]:
    if part.name is None:
        return part.text
    value = values.get(part.name)
    is_set = value is not None and (value not in ("", ()) or not part.how.startswith(":"))
    if part.how.endswith("+"):
        return _filled(part.other or "", values) if is_set else ""
    if not is_set:
        return _filled(part.other or "", values) if part.other is not None else ""
    assert value is not None  # noqa: S101
    return value


def _filled(text: str, values: Mapping[str, str | tuple[str, ...]]) -> str:
    """Fill in the variables of a default."""
    words = [w for w in split(text) if not isinstance(w, Operator)]
    return " ".join(piece for w in words for piece in expanded(w, values)) if "$" in text else text
