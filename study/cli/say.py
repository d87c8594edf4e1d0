"""Lines are printed between their words at a terminal's width, and as they are anywhere else."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from study.text import wrapped_at


def say(text: str) -> None:
    """Print to standard output, at once."""
    print(at_width(text, sys.stdout), flush=True)


def note(text: str) -> None:
    """Print to standard error what a person should know of the answer; nothing for no text."""
    if text:
        print(at_width(f"note: {text}", sys.stderr), file=sys.stderr)


def at_width(text: str, stream: TextIO) -> str:
    """Return the text as a stream shows it: wrapped where it is a terminal."""
    if not stream.isatty():
        return text
    try:
        width = os.get_terminal_size(stream.fileno()).columns
    except OSError:
        return text
    return wrapped_at(text, width) if width > 0 else text
