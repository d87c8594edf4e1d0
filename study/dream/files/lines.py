"""A file of lines is added to by one process at a time, and survives its death."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from objectives.plain_data.atomic import write_atomic


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a file of JSON lines; a line that was cut off is left out."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return []
    objects = []
    for line in text.splitlines():
        try:
            data = json.loads(line)
        except ValueError:
            continue
        if isinstance(data, dict):
            objects.append(data)
    return objects


def mend(path: Path) -> None:
    """Take a last line that was cut off out of a file, so that the next begins at its start."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    if data and not data.endswith(b"\n"):
        write_atomic(path, data[: data.rfind(b"\n") + 1])


def add_line(path: Path, data: Mapping[str, Any]) -> None:
    """Add an object as one line, by one write."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        file.write(f"{json.dumps(data, default=str)}\n".encode())
