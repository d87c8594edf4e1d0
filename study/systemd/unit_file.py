"""A unit's own text gives its ExecStart as written, and the same with another value of a flag."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath

from objectives.errors import BadInput
from objectives.servers.supervision.container import PROGRAMS

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
    lines = commands(texts)
    if len(lines) != 1:
        raise BadInput(
            f"{unit}: it has {len(lines)} ExecStart= lines; "
            "only a unit with one can get a flag by a drop-in"
        )
    words = [m[0] for m in WORD.finditer(lines[0])]
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
    return lines[0]


def commands(texts: Iterable[str]) -> list[str]:
    """Return every ExecStart of a unit's files, as written."""
    return settings(texts, "Service", "ExecStart")


def words_of(command: str) -> list[str]:
    """Return the words of a command, without quotes, with variables as written."""
    return [_unquoted(m[0]) for m in WORD.finditer(command)]


def runs_container(command: str) -> bool:
    """Tell whether a command is `docker run` or its like.

    >>> runs_container("-/usr/bin/docker run --rm image"), runs_container("/usr/bin/podman start a")
    (True, False)
    """
    words = [EXEC_PREFIX.sub("", w, count=1) for w in words_of(command)]
    names = [PurePath(w).name for w in words]
    place = next((n for n, name in enumerate(names) if name in PROGRAMS), None)
    return place is not None and "run" in words[place + 1 : place + 8]


def with_variable(command: str, name: str, value: str) -> str | None:
    """Return a command that runs a container with this value of a variable in it.

    None: it runs none, or takes the variable from its own environment.

    >>> with_variable("docker run -e SIZE=base image", "SIZE", "tiny")
    'docker run -e SIZE=tiny image'
    >>> with_variable("podman run image", "SIZE", "tiny")
    'podman run --env SIZE=tiny image'
    >>> with_variable("docker run -e SIZE image", "SIZE", "tiny") is None
    True
    """
    if not runs_container(command) or re.search(rf"\$\{{?{name}\b", command):
        return None
    words = [*WORD.finditer(command)]
    texts = [_unquoted(w[0]) for w in words]
    for before, match, text in zip(["", *texts], words, texts, strict=False):
        own = text.removeprefix("--env=").removeprefix("-e") if text[:2] in ("-e", "--") else text
        is_env = before in ("-e", "--env") or text.startswith(("--env=", "-e"))
        if is_env and own == name:
            return None
        if is_env and own.startswith(f"{name}="):
            head = text[: len(text) - len(own)]
            return f"{command[: match.start()]}{head}{name}={value}{command[match.end() :]}"
    run = next(w for w, t in zip(words, texts, strict=True) if t == "run")
    return f"{command[: run.end()]} --env {name}={value}{command[run.end() :]}"


def values_of_container(argv: Iterable[str], name: str) -> list[str | None]:
    """Return every value that `docker run`, by its process's words, gives a variable.

    >>> values_of_container(["docker", "run", "-e", "A=1", "--env=A=2", "image"], "A")
    ['1', '2']
    """
    words = list(argv)
    if not words or PurePath(words[0]).name not in PROGRAMS or "run" not in words:
        return []
    values: list[str | None] = []
    for before, word in zip(["", *words], words, strict=False):
        own = word.removeprefix("--env=")
        if (before in ("-e", "--env") or own != word) and own.startswith(f"{name}="):
            values.append(own.partition("=")[2])
    return values


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
