"""This module seals a promotion by a SHA-256 over its content.

So what is applied is what was measured.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from objectives.errors import BadInput
from objectives.plain_data.atomic import write_atomic
from study.bounded_yaml import BadYaml, Flaw, compose, construct, read_bytes

DIGEST_KEY = "sha256"
AS_WRITTEN = "take the file as it was written"
FLAW_WAY_OUT = {
    Flaw.NO_FILE: "name a promotion: `ls artifacts/promotions artifacts/*/promotions` shows them",
    Flaw.UNREADABLE: "name a promotion that can be read",
    Flaw.TOO_LARGE: "a promotion is a short YAML file",
}


def digest(data: Mapping[str, Any]) -> str:
    """Return the SHA-256 of everything but the seal, as canonical JSON.

    Raises:
        TypeError: A value is none that JSON knows.

    >>> digest({"b": 1, "a": [1.5], "sha256": "old"}) == digest({"a": (1.5,), "b": 1})
    True
    """
    rest = {k: v for k, v in data.items() if k != DIGEST_KEY}
    return hashlib.sha256(
        json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()


def seal(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the data with its `sha256` as the last key; an older seal is replaced.

    >>> list(seal({"sha256": "old", "status": "candidate"}))
    ['status', 'sha256']
    """
    return {**{k: v for k, v in data.items() if k != DIGEST_KEY}, DIGEST_KEY: digest(data)}


def put(data: Mapping[str, Any], path: Path) -> None:
    """Seal the data and write it, whole or not at all, over whatever is there."""
    write_atomic(path, yaml.safe_dump(seal(data), sort_keys=False, allow_unicode=True))


def read_unsealed(path: Path) -> dict[str, Any]:
    """Read a YAML mapping of at most 256 KiB without aliases.

    Raises:
        BadInput: The file is none.
    """
    try:
        data = deepcopy(_parsed(read_bytes(path, links=False)))
    except BadYaml as error:
        at, what = str(path), error.what
        if error.flaw is Flaw.SYNTAX:
            at, what = f"{path}:{error.line}", f"not a promotion: {what}"
        elif error.flaw not in FLAW_WAY_OUT:
            what = "not plain YAML in UTF-8"
        raise BadInput(f"{at}: {what}; {FLAW_WAY_OUT.get(error.flaw, AS_WRITTEN)}") from error
    if not isinstance(data, dict) or not all(isinstance(k, str) for k in data):
        raise BadInput(f"{path}: not a promotion: it is no mapping of names; {AS_WRITTEN}")
    return data


@lru_cache(maxsize=64)
def _parsed(content: bytes) -> object:
    """Parse what a file holds; a run reads each of few files several times, for 0.1 s each."""
    return construct(compose(content, aliases=False))


def verify(path: Path) -> dict[str, Any]:
    """Read a promotion whose seal holds.

    Raises:
        BadInput: It cannot be read, has no seal, or was changed after it was sealed.
    """
    data = read_unsealed(path)
    way_out = (
        "take the file as the study or confirm.py wrote it, "
        "or confirm it anew with scripts/confirm.py"
    )
    stated = data.get(DIGEST_KEY)
    if stated is None:
        raise BadInput(
            f"{path}: it has no sha256, so nobody can tell whether it was changed; {way_out}"
        )
    try:
        actual = digest(data)
    except (TypeError, ValueError) as error:
        raise BadInput(
            f"{path}: it holds a value that no promotion has ({error}); {way_out}"
        ) from error
    if stated != actual:
        raise BadInput(
            f"{path}: changed after it was sealed: it states sha256 {str(stated)[:12]}, "
            f"its content has {actual[:12]} (status, parameters or figures were edited); {way_out}"
        )
    return data


def moment(stated: object) -> datetime | None:
    """Read an ISO 8601 time, in UTC where it names no zone; None where it is none.

    >>> str(moment("2026-11-20T10:00:00")), moment("yesterday")
    ('2026-11-20 10:00:00+00:00', None)
    """
    try:
        at = datetime.fromisoformat(str(stated))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
