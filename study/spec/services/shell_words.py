"""Words that only a shell understands are refused: none runs between a spec and its servers."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from study.spec.files import program_at
from study.spec.yaml_node import YamlEntry

QUOTED = re.compile(r"""'[^']*'|"(?:\\.|[^"\\])*"|\\.""", re.DOTALL)
OPERATOR = re.compile(r"&&?|\|\|?|<|[0-9&]?>.*|.*;")
VARIABLE = re.compile(r"\$[A-Za-z_{(]|`")
# also in quotes, which no shell would open, and in a list of flags
PATH = re.compile(r"(?:^|[=,:])(?:~/|\$(?:[A-Z_][A-Z0-9_]*|\{+[A-Z_]\w*\}+)(?=[/:]|$))")
WORD = re.compile(r"(?:\\.|[^ \t\r\n])+", re.DOTALL)
CONTINUES = re.compile(r"\\\s")
SETS = re.compile(r"[A-Za-z_]\w*=")
SHELLS = ("sh", "bash", "dash", "zsh", "ksh", "fish")
SCRIPT = re.compile(r"-[a-z]*c")
NOT_EXPANDED = "nothing expands ~ or a variable here"
WRITE_OUT = "write out what it stands for"


def check_shell_words(entry: YamlEntry, template: str) -> None:
    """Refuse a command that needs a shell, unless it names one with its script behind `-c`.

    Args:
        entry: The command.
        template: What it says, whose quotes close.

    Raises:
        BadInput: It needs one; the error has file, line and key.
    """
    by_shell = "or let a shell do it: sh -c '...'"
    for n, (word, bare) in enumerate(_words(template)):
        if n == 0 and SETS.match(bare):
            what = f"it begins with {word!r}, which only a shell takes for a variable"
            raise entry.wrong(what, "write it in `env:`")
        if OPERATOR.fullmatch(bare):
            what = f"{word!r} is for a shell, and none runs it"
            raise entry.wrong(what, f"name the server alone, {by_shell}")
        if CONTINUES.match(bare):
            raise entry.wrong("a backslash before a space continues no line here", "remove it")
        if VARIABLE.search(bare) or PATH.search(word):
            raise entry.wrong(f"{NOT_EXPANDED}: {word!r}", f"{WRITE_OUT}, {by_shell}")


def _words(template: str) -> Iterator[tuple[str, str]]:
    """Yield each word of a command, and what of it is not in quotes; a shell's script is left out.

    >>> [*_words("x 'a b'c $D")], [*_words("bash -lc 'x $D && y' >log")][2:]
    ([('x', 'x'), ('a bc', '_c'), ('$D', '$D')], [('>log', '>log')])
    """
    words = shlex.split(template)
    plain = QUOTED.sub(lambda m: m[0] if CONTINUES.match(m[0]) else "_", template)
    for n, (word, bare) in enumerate(zip(words, WORD.findall(plain), strict=True)):
        names = (Path(w.rpartition("=")[2]).name for w in words[: max(n - 1, 0)])
        if not (n and SCRIPT.fullmatch(words[n - 1]) and any(name in SHELLS for name in names)):
            yield word, bare


def check_flag(entry: YamlEntry, word: str) -> None:
    """Refuse a flag, or its value, that waits for a shell to expand it.

    Raises:
        BadInput: It does; the error has file, line and key.
    """
    if PATH.search(word):
        raise entry.wrong(f"{NOT_EXPANDED}: {word!r}", WRITE_OUT)


def check_program(entry: YamlEntry, template: str) -> None:
    """Refuse a command whose program is named by its path, and is not there.

    Raises:
        BadInput: It is not; the error has file, line and key.
    """
    program = next(iter(shlex.split(template)), "")
    if os.sep in program and "{" not in program:
        program_at(entry, program, Path())
