"""The seal of a promotion: a SHA-256 over its content, so that what is applied is what was measured."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from objectives.errors import BadInput
from objectives.files.atomic import write_atomic

KEY = "sha256"
MAX_BYTES = 256 * 1024
MAX_DEPTH = 40


class _Loader(yaml.SafeLoader):
    """Safe YAML without aliases, which a promotion never needs, and with an end to its nesting."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(
                None, None, "it has an alias (*name)", self.get_mark()
            )
        if self.depth > MAX_DEPTH:
            raise yaml.composer.ComposerError(
                None, None, "it is nested too deeply", self.get_mark()
            )
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def digest(data: Mapping[str, Any]) -> str:
    """The SHA-256 of everything but the seal, as canonical JSON.

    raises: TypeError where a value is none that JSON knows

    >>> digest({"b": 1, "a": [1.5], "sha256": "old"}) == digest({"a": (1.5,), "b": 1})
    True
    """
    rest = {k: v for k, v in data.items() if k != KEY}
    return hashlib.sha256(
        json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()


def seal(data: Mapping[str, Any]) -> dict[str, Any]:
    """The same with its `sha256` as the last key; an older seal is replaced.

    >>> list(seal({"sha256": "old", "status": "candidate"}))
    ['status', 'sha256']
    """
    return {**{k: v for k, v in data.items() if k != KEY}, KEY: digest(data)}


def put(data: Mapping[str, Any], path: Path) -> None:
    """Seal the data and write it, whole or not at all, over whatever is there."""
    write_atomic(path, yaml.safe_dump(seal(data), sort_keys=False, allow_unicode=True))


def read(path: Path) -> dict[str, Any]:
    """A YAML mapping of at most 256 KiB without aliases.

    raises: BadInput for whatever is not that
    """
    try:
        if path.is_symlink() or not path.is_file():
            what = (
                "it is not a plain file"
                if path.is_symlink() or path.exists()
                else "there is no such file"
            )
            raise BadInput(
                f"{path}: {what}; name a promotion: `ls artifacts/promotions artifacts/*/promotions` shows them"
            )
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; name a promotion that can be read") from error
    if len(text) > MAX_BYTES:
        raise BadInput(
            f"{path}: it is larger than {MAX_BYTES // 1024} KiB; a promotion is a short YAML file"
        )
    try:
        data = yaml.load(text.decode("utf-8"), Loader=_Loader)  # noqa: S506  a safe loader, narrowed
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f":{mark.line + 1}" if mark else ""
        raise BadInput(
            f"{path}{at}: not a promotion: {error.problem or error.context}; take the file as it was written"
        ) from error
    except (
        yaml.YAMLError,
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        ValueError,
    ) as error:
        raise BadInput(
            f"{path}: not plain YAML in UTF-8; take the file as it was written"
        ) from error
    if not isinstance(data, dict) or not all(isinstance(k, str) for k in data):
        raise BadInput(
            f"{path}: not a promotion: it is no mapping of names; take the file as it was written"
        )
    return data


def verify(path: Path) -> dict[str, Any]:
    """The promotion, if its seal holds.

    raises: BadInput where it cannot be read, has no seal, or was changed after it was sealed
    """
    data = read(path)
    way_out = "take the file as the study or confirm.py wrote it, or confirm it anew with scripts/confirm.py"
    stated = data.get(KEY)
    if stated is None:
        raise BadInput(
            f"{path}: it has no sha256, so nobody can tell whether it was changed; {way_out}"
        )
    try:
        found = digest(data)
    except (TypeError, ValueError) as error:
        raise BadInput(
            f"{path}: it holds a value that no promotion has ({error}); {way_out}"
        ) from error
    if stated != found:
        raise BadInput(
            f"{path}: changed after it was sealed: it states sha256 {str(stated)[:12]}, "
            f"its content has {found[:12]} (status, parameters or figures were edited); {way_out}"
        )
    return data


def moment(stated: object) -> datetime | None:
    """An ISO 8601 time, in UTC where it names no zone; None where it is none.

    >>> str(moment("2026-11-20T10:00:00")), moment("yesterday")
    ('2026-11-20 10:00:00+00:00', None)
    """
    try:
        at = datetime.fromisoformat(str(stated))
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
