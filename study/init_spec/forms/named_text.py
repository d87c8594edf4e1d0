"""A file that a configuration names is read here: a plain file alone, and 256 KiB of it at most."""

from __future__ import annotations

from pathlib import Path

from objectives.errors import BadInput
from study.systemd.unit_file import env_values

MOST = 2**18  # characters, of a file or a command line; Linux runs none that is longer by a word


def text_of(file: Path) -> str | None:
    """Return the text of a file, cut where it is too long.

    None: it is not there, or no plain file: a FIFO would be waited for, a device has no end.
    """
    try:
        if not file.is_file():
            return None
        with file.open(encoding="utf-8", errors="replace") as opened:
            return opened.read(MOST)
    except (OSError, ValueError):  # no name of a file has a NUL
        return None


def variables_of(file: Path) -> dict[str, str]:
    """Return the variables of a file such as `.env`; none where it is not read."""
    return env_values(text_of(file) or "")


def whole_text_of(file: Path) -> str:
    """Return the text of a file that must be read.

    Raises:
        BadInput: It is not read, or too long.
    """
    text = text_of(file)
    if text is None or len(text) == MOST:
        why = "there is no such plain file" if text is None else f"it has {MOST:,} characters"
        raise BadInput(f"{file}: it is not read, for {why}; name the one that starts the server")
    return text
