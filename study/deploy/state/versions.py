"""The versions of production: a chain of hashed folders, and the one link that says which of them is in force."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from objectives.errors import BadInput
from objectives.plain_data.atomic import drafted, write_atomic
from study.deploy.config.values import Values

RECORD = "version.json"
CURRENT = "current"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of production.

    parent: sha256 of the version before; files: sha256 by name; units: sha256 of each unit's own files
    promotion: file name of the promotion, with its seal; restores: the number whose values it brings back
    device, driver, versions, neighbours: what was there when it was applied, for the watch
    """

    number: int
    values: Values
    units: Mapping[str, str]
    files: Mapping[str, str]
    parent: str | None = None
    author: str = ""
    at: str = ""
    promotion: str | None = None
    promotion_sha256: str | None = None
    restores: int | None = None
    device: str | None = None
    driver: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    neighbours: tuple[str, ...] = ()
    sha256: str = ""

    def digest(self) -> str:
        """The SHA-256 of all but itself, as canonical JSON."""
        data = {k: v for k, v in asdict(self).items() if k != "sha256"}
        return hashlib.sha256(
            json.dumps(data, sort_keys=True, separators=(",", ":")).encode()
        ).hexdigest()

    @property
    def is_own(self) -> bool:
        """Whether it is the user's own configuration, as it was found."""
        return self.promotion is None

    def __str__(self) -> str:
        """As a history shows it in one line."""
        source = (
            f"restores version {self.restores}"
            if self.restores is not None
            else self.promotion or "as found"
        )
        values = ", ".join(
            f"{k}={'-' if v is None else v}" for s in self.values.values() for k, v in s.items()
        )
        return f"{self.number:>4}  {self.at[:19]}  {self.author}  {self.sha256[:12]}  {values}  ({source})"


def author() -> str:
    """Who asks for it: the user behind sudo, or the user of this process."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


class Chain:
    """The versions under one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def link(self) -> Path:
        """The link whose target is in force; every committed drop-in is a link through it."""
        return self.folder / CURRENT

    def path(self, number: int) -> Path:
        """A version's folder."""
        return self.folder / "versions" / f"{number:04d}"

    def current(self) -> Version | None:
        """The version in force; None before the first apply.

        raises: BadInput where its record was changed
        """
        if not self.link.is_symlink():
            return None
        return self.read(int(self.link.readlink().name))

    def read(self, number: int) -> Version:
        """One version, with its own hash and those of its files checked.

        raises: BadInput where it is not there, or was changed
        """
        folder = self.path(number)
        try:
            data: dict[str, Any] = json.loads((folder / RECORD).read_text("utf-8"))
            found = Version(**{**data, "neighbours": tuple(data.get("neighbours", ()))})
            files = {name: _digest((folder / name).read_text("utf-8")) for name in found.files}
        except FileNotFoundError as error:
            there = (
                ", ".join(str(v.number) for v in self.history())
                if number != self._number()
                else "none"
            )
            raise BadInput(
                f"there is no version {number} under {self.folder}; choose one of: {there}"
            ) from error
        except (OSError, ValueError, TypeError) as error:
            raise BadInput(f"{folder / RECORD}: it cannot be read ({error}); {WAY_OUT}") from error
        if found.sha256 != found.digest() or files != dict(found.files):
            raise BadInput(
                f"{folder}: version {number} was changed after it was written; {WAY_OUT}"
            )
        return found

    def history(self) -> list[Version]:
        """The chain from the version in force back to the first, newest first.

        raises: BadInput where a link of the chain does not hold
        """
        number = self._number()
        if number is None:
            return []
        found = [self.read(number)]
        while found[-1].parent is not None:
            before = [n for n in self._numbers() if n < found[-1].number]
            parent = next(
                (v for n in reversed(before) if (v := self.read(n)).sha256 == found[-1].parent),
                None,
            )
            if parent is None:
                raise BadInput(
                    f"{self.folder}: what came before version {found[-1].number} is missing; {WAY_OUT}"
                )
            found.append(parent)
        return found

    def draft(
        self, version: Version, files: Mapping[str, str], like: os.stat_result | None = None
    ) -> Version:
        """Write a version whole, without putting it in force; its number, author, date and hashes are filled in.

        like: whose owner and mode its files get; None: everybody may read them
        """
        before = self.current()
        number = max(self._numbers(), default=-1) + 1
        version = replace(
            version,
            number=number,
            parent=before.sha256 if before else None,
            author=author(),
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            files={name: _digest(text) for name, text in files.items()},
        )
        version = replace(version, sha256=version.digest())
        record = json.dumps(asdict(version), indent=1) + "\n"
        with drafted(self.path(number), durable=True) as draft:
            draft.mkdir(parents=True)
            for name, text in files.items():
                write_atomic(draft / name, text, mode=0o644, like=like, durable=True)
            write_atomic(draft / RECORD, record, mode=0o644, durable=True)
        return version

    def put_in_force(self, number: int) -> None:
        """The commit: one rename, so that no moment lies between the old version and the new."""
        with drafted(self.link, durable=True) as draft:
            draft.symlink_to(Path("versions") / f"{number:04d}")

    def discard(self, number: int) -> None:
        """Remove a version that never came into force."""
        if number != self._number():
            shutil.rmtree(self.path(number), ignore_errors=True)

    def _number(self) -> int | None:
        return int(self.link.readlink().name) if self.link.is_symlink() else None

    def _numbers(self) -> list[int]:
        folder = self.folder / "versions"
        return (
            sorted(int(p.name) for p in folder.glob("[0-9]*") if p.name.isdigit())
            if folder.is_dir()
            else []
        )


WAY_OUT = "compare it with your backup; production goes on as it is, and a new version can only follow a whole chain"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
