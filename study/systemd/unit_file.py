"""A unit's own text gives its ExecStart as written, and the same with another value of a flag."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath

from objectives.errors import BadInput

WORD = re.compile(r"""(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\\.|[^\s"'\\])+""")
EXEC_PREFIX = re.compile(r"[-+!:@|]*")
SCRIPT = re.compile(r"-[A-Za-z]{0,5}c[A-Za-z]?")  # -c, -lc, -ec
SHELLS = ("sh", "bash", "dash", "zsh", "ksh")


def settings(texts: Iterable[str], section: str, key: str) -> list[str]:
    """Return every value of a key over a unit's files; an empty one forgets those before it.

    >>> settings(["[Service]\\nExecStart=/bin/a \\\\\\n  --x 1\\n"], "Service", "ExecStart")
    ['/bin/a    --x 1']
    """
    values: list[str] = []
    for text in texts:
        here = ""
        for line in _lines(text):
            if line.startswith("["):
                here = line.strip("[]")
            elif here == section and line.partition("=")[0].strip() == key:
                value = line.partition("=")[2].strip()
                values = [*values, value] if value else []
    return values


def _lines(text: str) -> Iterable[str]:
    """Yield lines with their continuations joined, and without comments, even between them."""
    joined = ""
    for raw in text.splitlines():
        line = raw.rstrip()
        if line.lstrip().startswith(("#", ";")) or (not line and not joined):
            continue
        if line.endswith("\\"):
            joined += line[:-1] + " "
            continue
        yield (joined + line).strip()
        joined = ""
    if joined:
        yield joined.strip()


def exec_start(texts: Iterable[str], unit: str) -> str:
    """Return the one command of a service, as its files write it.

    Raises:
        BadInput: There is none or more than one, or a shell runs it.
    """
    commands = settings(texts, "Service", "ExecStart")
    if len(commands) != 1:
        raise BadInput(
            f"{unit}: it has {len(commands)} ExecStart= lines; "
            "only a unit with one can get a flag by a drop-in"
        )
    words = [m[0] for m in WORD.finditer(commands[0])]
    names = [PurePath(EXEC_PREFIX.sub("", w.strip("\"'"), count=1)).name for w in words]
    program = next((n for n in names if n in SHELLS), "")  # also behind env, nice and the like
    if program and any(SCRIPT.fullmatch(w.strip("\"'")) for w in words[names.index(program) + 1 :]):
        way_out = "let it read a variable and map `variable:`, or run the server without the shell"
        raise BadInput(
            f"{unit}: its ExecStart is a shell ({program} -c), in which no flag can be set; "
            f"{way_out}"
        )
    if ";" in words:
        raise BadInput(
            f"{unit}: its ExecStart holds several commands; put each into a line of its own"
        )
    return commands[0]


def with_flag(command: str, flag: str, value: str) -> str:
    """Return the command with this value of a flag, in its place or at the end.

    The rest stays as written.

    >>> with_flag("/opt/py -m x --share 0.5 --name '%i a'", "--share", "0.6")
    "/opt/py -m x --share 0.6 --name '%i a'"
    >>> with_flag("vllm serve --gpu_memory_utilization=.5", "--gpu-memory-utilization", "0.6")
    'vllm serve --gpu_memory_utilization=0.6'
    >>> with_flag("vllm serve", "--max-num-seqs", "8")
    'vllm serve --max-num-seqs 8'
    """
    words = list(WORD.finditer(command))
    is_set = False
    for place in range(len(words) - 1, 0, -1):  # from the end, so that earlier positions stay true
        name, is_joined, _ = _unquoted(words[place][0]).partition("=")
        if not _is(name, flag):
            continue
        is_set, new = True, value
        if is_joined:
            (start, end), new = words[place].span(), f"{name}={value}"
        elif place + 1 < len(words):
            start, end = words[place + 1].span()
        else:
            command, start, end = command + " ", len(command) + 1, len(command) + 1
        command = command[:start] + new + command[end:]
    return command if is_set else f"{command.rstrip()} {flag} {value}"


def values_of(argv: Iterable[str], flag: str) -> list[str]:
    """Return every value that a process's command line gives a flag.

    >>> values_of(["x", "--share", "0.5", "--share=0.6"], "--share")
    ['0.5', '0.6']
    """
    words = list(argv)
    values = []
    for place, word in enumerate(words):
        name, is_joined, value = word.partition("=")
        if _is(name, flag):
            if is_joined:
                values.append(value)
            elif place + 1 < len(words):
                values.append(words[place + 1])
    return values


def env_values(text: str) -> dict[str, str]:
    """Read the variables of an EnvironmentFile's text.

    >>> env_values("# ours\\nSHARE=0.5\\nNAME = 'a b'\\n")
    {'SHARE': '0.5', 'NAME': 'a b'}
    """
    pairs = (
        line.partition("=")
        for line in text.splitlines()
        if "=" in line and not line.lstrip().startswith(("#", ";"))
    )
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}


def _unquoted(word: str) -> str:
    return word[1:-1] if len(word) > 1 and word[0] == word[-1] and word[0] in "\"'" else word


def _is(name: str, flag: str) -> bool:
    return name.startswith("-") and name.replace("_", "-") == flag.replace("_", "-")
