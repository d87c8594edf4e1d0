"""This module builds a server's command line from flags and templates. Pure."""

from __future__ import annotations

import re
import shlex
import string
from ast import literal_eval
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise

from objectives.allocation import Allocation, Scalar
from objectives.plain_data.masked import MASK, masked_words
from objectives.services import Service

WORD = re.compile(r"""'(?:[^'\\]|\\.)*'(?!\S)|"(?:[^"\\]|\\.)*"(?!\S)|\S+""")
PLAIN = re.compile(r"[\w@%+=:,./{}-]+")


@dataclass(frozen=True, slots=True)
class Command:
    """A command starts a server; two allocations with equal commands can share a running one.

    Args:
        argv: The command line; `{port}` stands where the port will be.
        env: The environment variables that are added.
        start_timeout_s: The time the server has to become ready, seconds.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    start_timeout_s: float

    def with_port(self, port: int) -> list[str]:
        """Return the command line to run, with its port."""
        return [a.replace("{port}", str(port)) for a in self.argv]

    def __str__(self) -> str:
        """Return the command line as it is kept and shown, without secrets."""
        words = masked_words(self.argv)
        return " ".join(a if PLAIN.fullmatch(MASK.sub("x", a)) else repr(a) for a in words)


def words_of(text: str) -> list[str]:
    """Return the words of a command line as `Command` keeps it.

    >>> words_of(str(Command(("/v/serve", "--model", "/my models/it's", ""), {}, 60.0)))
    ['/v/serve', '--model', "/my models/it's", '']
    """
    return [_unquoted(word) for word in WORD.findall(text)]


def _unquoted(word: str) -> str:
    """Return what a quoted word stands for; any other stands for itself."""
    with suppress(SyntaxError, ValueError):
        return str(literal_eval(word)) if word[0] in "\"'" else word
    return word


def flag(name: str, value: Scalar) -> tuple[str, ...]:
    """Return the words of an option: `--name value`; `--name` or `--no-name` for true or false."""
    match value:
        case True:
            return (f"--{name}",)
        case False:
            return (f"--no-{name}",)
        case float():
            return (f"--{name}", f"{value:g}")
        case _:
            return (f"--{name}", str(value))


def flags(options: Mapping[str, Scalar]) -> tuple[str, ...]:
    """Return the words of options, each `--name value` with dashes in its name.

    >>> flags({"ctx_size": 8192, "mlock": True})
    ('--ctx-size', '8192', '--mlock')
    """
    named = ((name.replace("_", "-"), value) for name, value in options.items())
    return tuple(word for name, value in named for word in flag(name, value))


def option_of(word: str) -> str:
    """Return the option that a word of a command line sets, with underscores.

    >>> option_of("--ctx-size=8192"), option_of("-c")
    ('ctx_size', 'c')
    """
    return word.lstrip("-").partition("=")[0].replace("-", "_")


def flag_value(
    option: str, args: Sequence[str], named: Callable[[str], str] = option_of
) -> str | None:
    """Return what flags say of an option, the last of them; None where they say nothing.

    Args:
        option: Its name, with underscores.
        args: The flags.
        named: It names the option that a flag sets.

    >>> flag_value("max_num_seqs", ("--max-num-seqs", "64", "--max_num_seqs=32"))
    '32'
    """
    words = pairwise((*args, ""))
    of_flags = ((w.partition("=")[2] or v, w) for w, v in words if w.startswith("-"))
    return next((v for v, w in reversed([*of_flags]) if named(w) == option), None)


def is_at_least(version: str, *least: int) -> bool:
    """Return whether a version begins with numbers as high as these, or higher.

    >>> is_at_least("0.12.1", 0, 12), is_at_least("570.86.15", 580)
    (True, False)
    """
    return tuple(map(int, re.findall(r"\d+", version)[: len(least)])) >= least


def placeholders(template: str) -> set[str]:
    """Return the names in braces of a command template.

    >>> sorted(placeholders("serve --port {port} -m {model}"))
    ['model', 'port']
    """
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def command_of(
    service: Service,
    argv: tuple[str, ...],
    env: Mapping[str, str],
    allocation: Allocation,
    model: str,
) -> Command:
    """Return the command of a service: its template with values filled in, else these words.

    Args:
        service: How it is started.
        argv: The words without a template.
        env: The environment variables of the engine and the device; the service's own win.
        allocation: The values that a template may name.
        model: The model that a template may name.
    """
    if service.command is not None:
        argv = filled(service.command, allocation, {"model": model})
    env = {"HF_HUB_OFFLINE": "1", **env, **service.env}
    return Command(argv, env, service.start_timeout_s)


def filled(template: str, allocation: Allocation, more: Mapping[str, str]) -> tuple[str, ...]:
    """Return the words of a template with values filled in; no value becomes two words.

    A word with spaces stands in quotes, and a brace of its own is written twice, as in
    `--override '{{"rope": 2}}'`.

    Args:
        template: The command, with names in braces; that of the port stays.
        allocation: The values of its parameters.
        more: More values by name.
    """
    values = {k: f"{v:g}" if isinstance(v, float) else str(v) for k, v in allocation.values.items()}
    return tuple(_filled(word, {**values, **more}) for word in shlex.split(template))


def _filled(word: str, values: Mapping[str, str]) -> str:
    parts = string.Formatter().parse(word)
    return "".join(
        text + ("" if name is None else values.get(name, "{" + name + "}"))
        for text, name, _, _ in parts
    )
