"""Text that is safe to show, and the name that was probably meant. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

SECRET = re.compile(r"(?i)(\S*(?:[_-]token|secret|password|api[-_]?key)[= ])\S+")


def meant(given: str, known: Iterable[str]) -> str:
    """The way out of a name that is not known.

    >>> meant("sampelr", ["sampler", "seed"]), meant("x", ["up", "down"])
    ('did you mean sampler?', 'choose up or down')
    """
    names = list(known)
    if close := difflib.get_close_matches(given, names, n=1):
        return f"did you mean {close[0]}?"
    return f"choose {', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else f"use {names[0]}"


def visible(text: str) -> str:
    """The text with a space for whatever is neither printable nor the end of a line: no file commands a terminal."""
    return "\n".join(one_line(line) for line in text.split("\n"))


def one_line(text: str) -> str:
    """The text with a space for whatever would end its line."""
    return "".join(c if c.isprintable() else " " for c in text)


def without_secrets(command: str) -> str:
    """A command line that may be sent to a colleague.

    >>> without_secrets("serve --api-key hunter2 --port 80"), without_secrets("HF_TOKEN=abc serve")
    ('serve --api-key *** --port 80', 'HF_TOKEN=*** serve')
    """
    return SECRET.sub(r"\1***", command)
