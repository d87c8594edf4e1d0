"""Mutated recordings are read, or refused in a sentence."""

from __future__ import annotations

import random
import tempfile
from functools import cache
from pathlib import Path

from objectives.errors import StudyError
from objectives.recording.file import read

from .campaign import mutated

RECORDINGS = Path(__file__).parents[2] / "objectives" / "recordings"
LINES = 4  # of a recording: its head and a few launches


@cache
def recordings() -> tuple[bytes, ...]:
    """Return the first lines of the recordings that ship."""
    files = sorted(RECORDINGS.glob("*.jsonl"))
    return tuple(b"".join(f.read_bytes().splitlines(keepends=True)[:LINES]) for f in files)


def attack(rng: random.Random) -> None:
    """Read one mutated recording.

    Raises:
        AssertionError: Its refusal does not name the file.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mine.jsonl"
        file.write_bytes(mutated(rng.choice(recordings()), rng))
        try:
            recording = read(file)
            for launch in recording.entries:
                recording.measured(launch)
        except StudyError as error:
            assert file.name in str(error), str(error)
            str(error).encode()
