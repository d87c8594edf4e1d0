"""A look at a unit tells the commands and variables of what it runs, as far as one may look."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import psutil

from objectives.errors import SetupError
from study.systemd import units
from study.systemd.unit_file import commands, env_values, runs_container, settings, words_of


@dataclass(frozen=True, slots=True)
class Look:
    """A look is what a unit showed at one moment.

    Args:
        unit: Its name.
        commands: The words of its ExecStart, and of each of its processes.
        env: Its variables, and those among the words; None: not all of them may be read.
        is_whole: Whether its processes were seen and none of them runs a container, so that what is
            not among the commands does not run.
    """

    unit: str
    commands: tuple[tuple[str, ...], ...]
    env: Mapping[str, str] | None
    is_whole: bool


def look(name: str) -> Look | None:
    """Look at a unit of the machine; None where it is not there, or nobody may look."""
    try:
        unit = units.unit(name)
        texts = unit.texts()
    except (SetupError, OSError):
        return None
    if unit.load != "loaded":
        return None
    written, running = commands(texts), list[tuple[str, ...]]()
    env: dict[str, str] | None = {}
    with suppress(psutil.Error):
        running = [tuple(p.cmdline()) for p in units.processes(unit.main_pid)]
    words = (*(tuple(words_of(c)) for c in written), *running)
    try:
        env = _variables(
            [w for s in settings(texts, "Service", "Environment") for w in words_of(s)]
        )
        for file in (f for f in unit.env_files if f.is_file()):
            env |= env_values(file.read_text("utf-8", errors="replace"))
    except OSError:
        env = None
    with suppress(psutil.Error):
        env = psutil.Process(unit.main_pid).environ() if unit.main_pid else env
    if env is not None:
        env = {**env, **_variables([w for own in words for w in own])}
    is_whole = any(running) and not any(map(runs_container, written))
    return Look(name, words, env, is_whole)


def _variables(words: list[str]) -> dict[str, str]:
    pairs = (word.partition("=") for word in words)
    return {name: value for name, _, value in pairs if value and name.isidentifier()}
