"""This module makes and tries the folder that a command writes into, before anything runs."""

from __future__ import annotations

import os
from pathlib import Path

from objectives.errors import BadInput


def usable(folder: Path, option: str) -> Path:
    """Return the folder, made where it does not exist.

    Args:
        option: Its name on the command line, such as --out.

    Raises:
        BadInput: It cannot be written, or holds characters that no terminal shows.
    """
    if not str(folder).isprintable():
        raise BadInput(
            f"{option} {str(folder)!r} holds characters that cannot be shown; use plain letters"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise BadInput(f"{folder} is no folder; choose another with {option}") from error
    except OSError as error:
        raise BadInput(
            f"{folder} cannot be made ({error.strerror}); choose another with {option}"
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInput(f"{folder} cannot be written; choose another with {option}")
    return folder
