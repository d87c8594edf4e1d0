"""A campaign is one attack after another; a tally counts them."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import random
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

NEVER = ("Traceback (most recent call last)", "Exception ignored", "never retrieved")


class Try(random.Random):
    """The dice of one try; its number seeds them, and takes in turn what must not be missed."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


Campaign = Callable[[Try], None]  # it raises where the attack has succeeded


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


ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    [],
    {},
    "",
    "x",
    "\ud800",
    0,
    -1,
    5,
    1e308,
    10**400,
    float("nan"),
    float("inf"),
    [[]],
    {"a": 1},
    "9" * 400,
    "../../etc/passwd",
)


def mutated_json(data: Any, rng: random.Random) -> Any:
    """Return plain data in which one value is odd, missing, doubled, renamed or of another place.

    Args:
        data: Plain data, which stays as it is.
        rng: It draws what and where.
    """
    if isinstance(data, dict) and data and rng.random() < 0.85:
        key, other = rng.choice([*data]), rng.choice([*data])
        rest = {k: v for k, v in data.items() if k != key}
        inner = {**data, key: mutated_json(data[key], rng)}
        ways = [rest, {**rest, f"{key}x": data[key]}, {**data, key: data[other]}, *[inner] * 5]
    elif isinstance(data, list) and data and rng.random() < 0.85:
        at = rng.randrange(len(data))
        before, after = data[:at], data[at + 1 :]
        inner = [*before, mutated_json(data[at], rng), *after]
        ways = [[*before, *after], [*data, data[at]], *[inner] * 4]
    else:
        ways = [*ODD_VALUES]
    return rng.choice(ways)


def mutated_text(text: str, rng: random.Random) -> bytes:
    """Return lines of JSON of which one is mutated, as data or as bytes."""
    lines = text.splitlines()
    if rng.random() < 0.3:
        return mutated(text.encode(), rng)
    for _ in range(rng.choice((1, 1, 2))):
        at = rng.randrange(len(lines)) if rng.random() < 0.5 else 0
        match rng.randrange(12):
            case 0:
                lines.insert(at, lines[at])
            case 1:
                lines[at] = "[" * 5000
            case 2:
                del lines[at]
            case _:
                with suppress(ValueError, RecursionError):  # it has been mutated before
                    lines[at] = json.dumps(mutated_json(json.loads(lines[at]), rng))
        lines = lines or [""]
    return "\n".join(lines).encode()


def commanded(name: str, arguments: Sequence[str]) -> tuple[int, str]:
    """Run a command in this process; return its exit code and what it said.

    Raises:
        AssertionError: It ended in a way that no command may.
        Exception: Whatever else it raises.
    """
    output, code = io.StringIO(), 0
    with (
        patch.object(sys, "argv", [name, *arguments]),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(output),
    ):
        try:
            importlib.import_module(f"study.commands.{name}").main()
        except SystemExit as end:
            code = int(end.code or 0)
    text = output.getvalue()
    assert code in (0, 2, 3, 4), (code, text)
    assert not any(words in text for words in NEVER), text
    if code in (2, 3):
        assert "error: " in text, text
    return code, text
