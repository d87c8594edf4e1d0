"""Make text safe to show, and name what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def meant(name: str, candidates: Iterable[str]) -> str:
    """Return the way out of a name that is not known.

    >>> meant("sampelr", ["sampler", "seed"]), meant("x", ["up", "down"])
    ('did you mean sampler?', 'choose up or down')
    """
    names = list(candidates)
    if close := difflib.get_close_matches(name, names, n=1):
        return f"did you mean {close[0]}?"
    return f"choose {', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else f"use {names[0]}"


def visible(text: str) -> str:
    """Return the text with a space for whatever is neither printable nor the end of a line.

    No file commands a terminal so.
    """
    return "\n".join(one_line(line) for line in text.split("\n"))


def capital(sentence: str) -> str:
    """Return a sentence that begins with a capital.

    >>> capital("stay with it")
    'Stay with it'
    """
    return sentence[:1].upper() + sentence[1:]


def one_line(text: str) -> str:
    """Return the text with a space for whatever would end its line."""
    return "".join(c if c.isprintable() else " " for c in text)
