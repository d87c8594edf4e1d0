"""A server's command line: how it is told its port, its flags and the values of a template. Pure."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass

from objectives.allocation import Allocation, Scalar


@dataclass(frozen=True, slots=True)
class Command:
    """A server's command line without its port: `{port}` stands where the port will be.

    Two allocations with equal commands can share one running server.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    health_path: str
    start_timeout_s: float

    def with_port(self, port: int) -> list[str]:
        """The command line to run."""
        return [a.replace("{port}", str(port)) for a in self.argv]

    def __str__(self) -> str:
        return " ".join(a if re.fullmatch(r"[\w@%+=:,./{}-]+", a) else repr(a) for a in self.argv)


def flag(name: str, value: Scalar) -> tuple[str, ...]:
    """The words of one option: `--name value`, or `--name` and `--no-name` for true and false."""
    match value:
        case True:
            return (f"--{name}",)
        case False:
            return (f"--no-{name}",)
        case float():
            return (f"--{name}", f"{value:g}")
        case _:
            return (f"--{name}", str(value))


def placeholders(template: str) -> set[str]:
    """The names in braces of a command template.

    >>> sorted(placeholders("serve --port {port} -m {model}"))
    ['model', 'port']
    """
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def filled(template: str, allocation: Allocation, more: Mapping[str, str]) -> tuple[str, ...]:
    """A template split into words first and filled after, so that no value becomes two words."""
    values = {k: f"{v:g}" if isinstance(v, float) else str(v) for k, v in allocation.values.items()}
    values |= more
    words = template.split()
    for name, value in values.items():
        words = [w.replace("{" + name + "}", value) for w in words]
    return tuple(words)
