"""This module reads patterns.yaml: the rules that name failures, and the words of a log."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml


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
        flags: The exceptions: `oom`, `keeps`, `any_level`, `unless_stopped`.
    """

    failure_class: str
    speakers: Sequence[str]
    seen: str
    regexes: Sequence[str]
    phases: Sequence[str] = ("start", "load")
    deficit: Sequence[str] = ()
    exits: Sequence[int] = ()
    flags: Sequence[str] = ()


@cache
def patterns() -> dict[str, Any]:
    """Return patterns.yaml as plain data."""
    # a file of ours that ships, so not held to the bounds of what users write
    data: dict[str, Any] = yaml.safe_load(
        files("objectives.diagnosis").joinpath("patterns.yaml").read_text("utf-8")
    )
    return data


def matches_of(regexes: Sequence[str], text: str) -> Iterator[re.Match[str]]:
    """Yield the matches of each pattern in turn, ignoring case, `^` and `$` at every line."""
    return (match for regex in regexes for match in re.finditer(f"(?im){regex}", text))
