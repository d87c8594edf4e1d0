"""The schema of a promotion says which version wrote it, and so what its figures mean."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from objectives.errors import BadInput
from study.text import one_line

SCHEMA = 2  # 1 was 0.1's: a ladder's capacity, claims and margins that are gone


def is_current(data: Mapping[str, Any]) -> bool:
    """Return whether this version may confirm and apply a promotion; reports read any."""
    return bool(data.get("schema") == SCHEMA)


def check_schema(data: Mapping[str, Any], path: Path) -> None:
    """Check that a promotion was written by this version.

    Raises:
        BadInput: It was written by 0.1, by a later version, or does not say.
    """
    if is_current(data):
        return
    if data.get("schema") == 1:
        raise BadInput(
            f"{path}: it is a promotion of 0.1, whose capacity and claims are gone: it can be "
            "read, and what it put in production rolled back, but not confirmed or applied; "
            "measure anew: `python scripts/run_study.py SPEC`"
        )
    stated = one_line(repr(data.get("schema")))[:40]
    raise BadInput(
        f"{path}: its schema is {stated}, and this version writes {SCHEMA}; "
        "take the file as the study wrote it, or the version that wrote it"
    )
