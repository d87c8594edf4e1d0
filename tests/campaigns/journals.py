"""Mutated journals of confirmations are read, or refused in one line."""

from __future__ import annotations

import random
import tempfile
from functools import cache
from pathlib import Path

from objectives.errors import BadInput
from study.confirmation.journal import read_journal, write_journal
from study.confirmation.journal_checks import each_once, oddities

from .campaign import mutated_text

ROOT = Path(__file__).parents[2]
JOURNALS = (
    ROOT / "tests/data/h100/h100_pairs.jsonl",  # of version 0.1
    ROOT / "objectives/recordings/h200_pairs.jsonl",
)


@cache
def text_of(file: Path) -> str:
    """Return a journal as it was written."""
    return file.read_text("utf-8")


def attack(rng: random.Random) -> None:
    """Read one mutated journal, and write it again.

    Raises:
        AssertionError: It is refused in more than one line, or read otherwise the second time.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pairs.jsonl"
        path.write_bytes(mutated_text(text_of(rng.choice(JOURNALS)), rng))
        try:
            journal = read_journal(path)
            if any(oddities(journal)):
                return
            each_once({str(path): journal})
        except BadInput as error:
            assert "\n" not in str(error), error
            return
        write_journal(journal, Path(folder))
        again = read_journal(path)
        assert (again.head, again.pairs, again.holds) == (
            journal.head,
            journal.pairs,
            journal.holds,
        )
