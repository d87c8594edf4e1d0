"""The flags of a unit's command, and of its `--config FILE`, are read here with their values."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from objectives.engines.every import form_of
from objectives.errors import BadInput
from study.init_spec.forms.compose.files import document
from study.init_spec.forms.running import Running
from study.server_words.docker_run import host_path
from study.server_words.programs import Program, program_of

SECRET_FLAGS = ("--api-key", "--hf-token", "--ssl-keyfile", "--ssl-certfile", "--ssl-ca-certs")
# options of a container that the study does not keep
OF_NO_SERVER = ("--name", "--hostname", "--label", "-l", "--log-opt")
WAY_OUT = "write the spec from study/specs/gpu.yaml"

Flags = list[tuple[str, tuple[str, ...]]]


def refuse_blanks(unit: Running, program: Program | None) -> None:
    """Refuse a server of whose values variables leave nothing: another would be measured.

    Raises:
        BadInput: A variable has no value where the server cannot do without.
    """
    form = form_of(program.engine) if program else None
    alone = (*SECRET_FLAGS, *OF_NO_SERVER, *(form.alone if form else ()))
    for blank in unit.blanks:
        place = blank.place.replace("_", "-")
        if blank.matters and place not in alone and "api-key" not in place:
            who = blank.place.rstrip(":") or "its command"
            raise BadInput(
                f"{unit.label}: {unit.unset([blank])}; {who} needs it, so set it, or run this as "
                "one who may read what sets it"
            )


def split_flags(words: Sequence[str]) -> tuple[Flags, list[str]]:
    """Split words into flags with their values, in order, and the words before the first flag.

    >>> split_flags(("m", "--a-b", "1", "2", "--c_d=3", "--e"))
    ([('--a-b', ('1', '2')), ('--c-d', ('3',)), ('--e', ())], ['m'])
    """
    flags: Flags = []
    free: list[str] = []
    for word in words:
        if re.match(r"--?[A-Za-z]", word):
            name, sep, value = word.partition("=")
            flags.append((name.replace("_", "-"), (value,) if sep else ()))
        elif flags:
            flags[-1] = (flags[-1][0], (*flags[-1][1], word))
        else:
            free.append(word)
    return flags, free


def with_file(unit: Running, engine: str, flags: Flags, free: list[str]) -> tuple[Flags, list[str]]:
    """Return the flags with those of `--config FILE` before them; the command's own win.

    Raises:
        BadInput: The file is not read.
    """
    names = [values[0] for name, values in flags if name == "--config" and values]
    if not names:
        return flags, free
    file = host_file(unit, names[-1])
    if file is None or not file.is_file():
        raise BadInput(
            f"{unit.label}: its --config {names[-1]} is not read from here, and may set its share; "
            f"run this where the file is, or {WAY_OUT} with `services.llm.args`"
        )
    data = document(file)
    if not isinstance(data, Mapping):
        raise BadInput(f"{file}: it holds no `flag: value` lines, which {engine} needs; mend it")
    own = {name for name, _ in flags} | ({"--model"} if free else set())
    more: Flags = []
    for key, value in data.items():
        name = "--" + str(key).replace("_", "-")
        if name in own or value is False or value is None or key == "model_tag":
            continue
        more.append((name, _values(value)))
    free = free or ([str(data["model_tag"])] if "model_tag" in data else [])
    return [*more, *(f for f in flags if f[0] != "--config")], free


def _values(value: object) -> tuple[str, ...]:
    match value:
        case True:
            return ()
        case list():
            return tuple(map(str, value))
        case dict():
            return (json.dumps(value),)
        case _:
            return (str(value),)


def host_file(unit: Running, name: str) -> Path | None:
    """Return where a file that a server names lies on this machine; None: in its image."""
    if unit.container is None:
        return unit.folder / name
    options = (option.partition("=")[::2] for option in unit.container.options)
    place = host_path(options, unit.folder / name)
    return place if place is not None and place.is_absolute() else None


def serving(unit: Running) -> Program | None:
    """Return what a unit serves, by its words and by those in its `--config FILE`."""
    program = program_of(unit.argv)
    if program is None or not any(w.partition("=")[0] == "--config" for w in unit.argv):
        return program
    try:
        flags, free = with_file(unit, program.engine, *split_flags(unit.argv[program.start :]))
    except BadInput:  # whoever reads the rest says so
        return program
    words = [*free, *(w for name, values in flags for w in (name, *values))]
    return program_of((*unit.argv[: program.start], *words))
