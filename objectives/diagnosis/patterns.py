"""This module reads patterns.yaml: the rules that name failures, and the words of a log.

What one engine alone says stands in a file beside that engine, and is read with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import yaml

from objectives.diagnosis.needles import may_match

SETUP_ERROR = "setup_error"  # the class of the rules in setup_errors.yaml


@dataclass(frozen=True, slots=True)
class LogRule:
    """A rule is one entry of `rules` in patterns.yaml, whose head says more of each field.

    Args:
        failure_class: The name of the failure.
        speakers: Who can have said it.
        seen: The server and version that said it.
        regexes: The patterns that match a line, ignoring case.
        phases: The phases of a launch in which such a line counts.
        deficit: The patterns of the missing memory.
        exits: The exit statuses that mean the same without any words.
        flags: The exceptions: `oom`, `keeps`, `any_level`, `asks_why`, `raised`, `unless_stopped`.
        way_out: What a person does about it; None where that depends on the study.
    """

    failure_class: str
    speakers: Sequence[str]
    seen: str
    regexes: Sequence[str]
    phases: Sequence[str] = ("start", "load")
    deficit: Sequence[str] = ()
    exits: Sequence[int] = ()
    flags: Sequence[str] = ()
    way_out: str | None = None


@cache
def patterns() -> dict[str, Any]:
    """Return patterns.yaml, setup_errors.yaml and the engines' files as plain data."""
    data: dict[str, Any] = _read("patterns.yaml") | {"setup_errors": _read("setup_errors.yaml")}
    for file in sorted(_of_engines(), key=lambda file: file.name):
        own = _loaded(file)
        for part in ("rules", "setup_errors", "ignore"):
            data[part] = own.pop(part, []) + data[part]
        for part in ("reasons", "phases", "speakers"):
            for name, regexes in own.pop(part, {}).items():
                data[part].setdefault(name, []).extend(regexes)
        if own:
            raise ValueError(f"{file.name} has parts that no one reads: {', '.join(own)}")
    return data


def _of_engines() -> Iterator[Traversable]:
    """Yield the files of the engines: each stands beside its engine's module, or in its folder."""
    for entry in files("objectives.engines").iterdir():
        inside = entry.iterdir() if entry.is_dir() else (entry,)
        yield from (file for file in inside if file.name.endswith(".yaml"))


@cache
def rules() -> tuple[LogRule, ...]:
    """Return every rule in the order in which they are tried."""
    data = patterns()
    of_setup = {"failure_class": SETUP_ERROR, "speakers": [*data["services"].values()]}
    entries = [*data["rules"], *(of_setup | entry for entry in data["setup_errors"])]
    order: list[str] = data["order"]
    return tuple(
        sorted((LogRule(**e) for e in entries), key=lambda rule: order.index(rule.failure_class))
    )


def _read(name: str) -> Any:
    return _loaded(files("objectives.diagnosis").joinpath(name))


def _loaded(file: Traversable) -> Any:
    """Read a file of ours that ships, so not held to the bounds of what users write.

    The loader in C, where PyYAML was built with it, takes a tenth of the time.
    """
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(file.read_text("utf-8"), Loader=loader)  # noqa: S506  both are safe


def matches_of(regexes: Sequence[str], text: str) -> Iterator[re.Match[str]]:
    """Yield the matches of each pattern in turn, ignoring case, `^` and `$` at every line."""
    possible = (regex for regex in regexes if may_match(regex, text))
    return (match for regex in possible for match in re.finditer(f"(?im){regex}", text))
