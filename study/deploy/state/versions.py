"""The versions of production are a chain of hashed folders; one link says which is in force."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from objectives.errors import BadInput
from objectives.plain_data.atomic import drafted, write_atomic
from objectives.plain_data.by_type import ODD_DATA
from study.deploy.state.version import Version, author, bytes_of, digest_of, text_of

RECORD = "version.json"
CURRENT = "current"
READY = "ready.py"
RUN_BY_UNITS = (READY,)
CHAIN_WAY_OUT = (
    "compare it with your backup; production goes on as it is, "
    "and a new version can only follow a whole chain"
)


class Chain:
    """The chain holds the versions under one folder.

    Args:
        folder: The folder of a deployment's state.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def link(self) -> Path:
        """Return the link whose target is in force; every committed drop-in leads through it."""
        return self.folder / CURRENT

    def path(self, number: int) -> Path:
        """Return a version's folder."""
        return self.folder / "versions" / f"{number:04d}"

    def current(self) -> Version | None:
        """Read the version in force; None before the first apply.

        Raises:
            BadInput: Its record was changed.
        """
        number = self._number()
        return None if number is None else self.read(number)

    def read(self, number: int) -> Version:
        """Read one version, and check its own hash and those of its files.

        Raises:
            BadInput: It is not there, or was changed.
        """
        folder = self.path(number)
        try:
            data: dict[str, Any] = json.loads((folder / RECORD).read_text("utf-8"))
            version = Version(**{**data, "neighbours": tuple(data.get("neighbours", ()))})
            files = {name: _digest(folder / name, of) for name, of in version.files.items()}
        except FileNotFoundError as error:
            numbers = (
                ", ".join(str(v.number) for v in self.history())
                if number != self._number()
                else "none"
            )
            raise BadInput(
                f"there is no version {number} under {self.folder}; choose one of: {numbers}"
            ) from error
        except (OSError, *ODD_DATA) as error:
            raise BadInput(
                f"{folder / RECORD}: it cannot be read ({error}); {CHAIN_WAY_OUT}"
            ) from error
        if version.sha256 != version.digest() or files != dict(version.files):
            raise BadInput(
                f"{folder}: version {number} was changed after it was written; {CHAIN_WAY_OUT}"
            )
        return version

    def history(self) -> list[Version]:
        """Read the chain from the version in force back to the first, newest first.

        Raises:
            BadInput: A link of the chain does not hold.
        """
        number = self._number()
        if number is None:
            return []
        versions = [self.read(number)]
        while versions[-1].parent is not None:
            before = [n for n in self._numbers() if n < versions[-1].number]
            parent = next(
                (v for n in reversed(before) if (v := self.read(n)).sha256 == versions[-1].parent),
                None,
            )
            if parent is None:
                raise BadInput(
                    f"{self.folder}: what came before version {versions[-1].number} is missing; "
                    f"{CHAIN_WAY_OUT}"
                )
            versions.append(parent)
        return versions

    def draft(
        self, version: Version, files: Mapping[str, str], like: os.stat_result | None = None
    ) -> Version:
        """Write a version whole, without putting it in force.

        Its number, author, date and hashes are filled in.

        Args:
            like: Whose owner and mode its files get; None: root's alone, since a unit's command
                may hold keys, but for what the units' users run.
        """
        before = self.current()
        number = max(self._numbers(), default=-1) + 1
        version = replace(
            version,
            number=number,
            parent=before.sha256 if before else None,
            author=author(),
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            files={name: digest_of(text) for name, text in files.items()},
        )
        version = replace(version, sha256=version.digest())
        record = json.dumps(asdict(version), indent=1) + "\n"
        with drafted(self.path(number), durable=True) as draft:
            draft.mkdir(parents=True)
            for name, text in files.items():
                mode = 0o644 if name in RUN_BY_UNITS else 0o600
                write_atomic(draft / name, bytes_of(text), mode=mode, like=like, durable=True)
            write_atomic(draft / RECORD, record, mode=0o644, durable=True)
        return version

    def put_in_force(self, number: int) -> None:
        """Commit by one rename, so that no moment lies between the old version and the new."""
        with drafted(self.link, durable=True) as draft:
            draft.symlink_to(Path("versions") / f"{number:04d}")

    def discard(self, number: int) -> None:
        """Remove a version that never came into force."""
        if number != self._number():
            shutil.rmtree(self.path(number), ignore_errors=True)

    def _number(self) -> int | None:
        """Return the number of the version in force; None before the first apply.

        Raises:
            BadInput: The link leads to no version.
        """
        if not self.link.is_symlink():
            return None
        target = self.link.readlink()
        is_number = re.fullmatch(r"[0-9]{1,9}", target.name)
        if not is_number or not self.path(int(target.name)).is_dir():
            last = f"versions/{max(self._numbers(), default=0):04d}"
            raise BadInput(
                f"{self.link}: it leads to {str(target)!r}, which is no version; lead it to the "
                f"one in force, as `ln -sfn {last} {self.link}` does to the newest"
            )
        return int(target.name)

    def _numbers(self) -> list[int]:
        folder = self.folder / "versions"
        return sorted(int(p.name) for p in folder.glob("[0-9]*") if p.name.isdigit())


def _digest(path: Path, stated: str) -> str:
    """Return the digest of a version's file; the stated one to whom may not read it.

    Raises:
        OSError: It is not there.
    """
    try:
        return digest_of(text_of(path))
    except PermissionError:  # who only looks; whoever changes anything reads all
        return stated
