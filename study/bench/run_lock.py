"""Let one run at a time use a folder."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from objectives.errors import BadInput, SetupError
from objectives.servers.process import reap_left_behind


@contextmanager
def alone(folder: Path) -> Iterator[list[str]]:
    """Hold a folder for one run; end what a dead run left running there, and yield a sentence each.

    Raises:
        SetupError: Another run is using the folder.
        BadInput: The folder cannot be written.
    """
    with _lock(folder) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SetupError(
                f"another run is using {folder}; wait for it, or give this one another --out"
            ) from error
        yield reap_left_behind(folder)


def _lock(folder: Path) -> TextIO:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / "run.lock").open("w")
    except OSError as error:
        raise BadInput(
            f"{folder} cannot be written ({error.strerror}); name another --out"
        ) from error
