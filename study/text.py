"""This module makes text safe to show, and names what was probably meant."""

from __future__ import annotations

import difflib
import textwrap
from collections.abc import Iterable


def listed(names: Iterable[str], word: str = "and") -> str:
    """Return names as a sentence lists them, with a word before the last.

    >>> listed(["a", "b", "c"]), listed(["a, b"]), listed(["a", "b"], "or"), listed([])
    ('a, b and c', 'a, b', 'a or b', '')
    """
    *first, last = [*names] or [""]
    return f"{', '.join(first)} {word} {last}" if first else last


def meant(name: str, candidates: Iterable[str]) -> str:
    """Return the way out of a name that is not known.

    >>> meant("sampelr", ["sampler", "seed"]), meant("x", ["up", "down"])
    ('did you mean sampler?', 'choose up or down')
    """
    names = list(candidates)
    if close := difflib.get_close_matches(name, names, n=1):
        return f"did you mean {close[0]}?"
    return f"choose {listed(names, 'or')}" if len(names) > 1 else f"use {names[0]}"


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


def wrapped_at(text: str, width: int) -> str:
    """Return the text in lines of at most `width` characters; a longer word has its own line.

    >>> print(wrapped_at("  one two three", 11))
      one two
        three
    """
    lines = []
    for line in text.split("\n"):
        indent = line[: len(line) - len(line.lstrip())]
        lines += textwrap.wrap(
            line.strip(),
            width,
            initial_indent=indent,
            subsequent_indent=f"{indent}  ",
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]
    return "\n".join(lines)


def cut(text: str, characters: int = 100) -> str:
    """Return the beginning of a text, and three dots where there is more.

    >>> cut("too long", 3), cut("all", 3)
    ('too...', 'all')
    """
    return f"{text[:characters]}{'...' * (len(text) > characters)}"


def one_line(text: str) -> str:
    """Return the text with a space for whatever would end its line."""
    return "".join(c if c.isprintable() else " " for c in text)
