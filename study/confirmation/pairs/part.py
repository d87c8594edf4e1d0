"""`Part` says which pairs a card measures where several measure one confirmation at once; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, takewhile

PARTS = 12  # no look has more pairs


@dataclass(frozen=True, slots=True)
class Part:
    """A part is every `of`-th pair, so that no two cards measure one with the same arrivals.

    Args:
        number: Its number, from 1.
        of: How many parts there are.
    """

    number: int = 1
    of: int = 1

    @classmethod
    def read(cls, text: str) -> Part:
        """Return the part of a text such as "2/3".

        Raises:
            ValueError: It is none.

        >>> Part.read("2/3")
        Part(number=2, of=3)
        """
        parts = re.fullmatch(r"([0-9]{1,2})/([0-9]{1,2})", text)
        if parts is None or not 1 <= int(parts[1]) <= int(parts[2]) <= PARTS:
            raise ValueError(f"{text!r} is no part; write e.g. 1/2 and 2/2 on two cards")
        return cls(int(parts[1]), int(parts[2]))

    def numbers(self, most: int | None = None) -> Iterator[int]:
        """Return the numbers of its pairs, up to the most there are, or without an end.

        >>> list(Part(2, 3).numbers(12))
        [2, 5, 8, 11]
        """
        return takewhile(lambda n: most is None or n <= most, count(self.number, self.of))

    def place(self, number: int) -> int:
        """Return which of its pairs has this number, from 0."""
        return (number - self.number) // self.of


WHOLE = Part()
