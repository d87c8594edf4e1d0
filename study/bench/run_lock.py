"""This module lets one run at a time use a folder."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from objectives.errors import BadInput, InUse
from objectives.servers.process import reap_left_behind

LOCK = "run.lock"


@contextmanager
def alone(folder: Path) -> Iterator[list[str]]:
    """Hold a folder for one run; end what a dead run left running there, and yield a sentence each.

    A run that is refused leaves no folder behind where there was none.

    Raises:
        InUse: Another run is using the folder.
        BadInput: The folder cannot be written.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    with _lock(folder) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InUse(
                f"another run is using {folder}; wait for it, or give this one another --out"
            ) from error
        try:
            yield reap_left_behind(folder)
        except BadInput:
            _remove(folder, made)
            raise


def _remove(folder: Path, made: list[Path]) -> None:
    """Remove the folders that were made for a run, where nothing but its lock is in them."""
    if made and [*folder.iterdir()] == [folder / LOCK]:
        (folder / LOCK).unlink()
        with suppress(OSError):  # another run has begun beside it
            for path in made:
                path.rmdir()


def _lock(folder: Path) -> TextIO:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / LOCK).open("w")
    except OSError as error:
        raise BadInput(
            f"{folder} cannot be written ({error.strerror}); name another --out"
        ) from error
