"""A campaign is one attack after another; a tally counts them."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

Campaign = Callable[[random.Random], None]  # it raises where the attack has succeeded


@dataclass(slots=True)
class Tally:
    """A tally counts attacks.

    Args:
        tries: Their number.
        failures: The seed of each that succeeded, and how.
    """

    tries: int = 0
    failures: list[tuple[int, str]] = field(default_factory=list)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Return bytes with a few of them cut, doubled, exchanged or replaced by what is odd."""
    odd = (b"\x00", b"\xff", b"\\ud800", b"NaN", b"-1", b"1e400", b"null", b"[" * 2000, b"9" * 400)
    for _ in range(rng.randint(1, 4)):
        begin = rng.randrange(len(data) + 1)
        end = min(len(data), begin + rng.choice((0, 1, 4, 30)))
        match rng.randrange(4):
            case 0:
                data = data[:begin] + data[end:]
            case 1:
                data = data[:end] + data[begin:]
            case 2:
                data = data[:begin] + rng.choice(odd) + data[end:]
            case _:
                data = data[:begin] + rng.randbytes(end - begin) + data[end:]
    return data
