"""A version records what production runs, who applied it and from which promotion."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from study.deploy.config.values import Values


def digest_of(text: str) -> str:
    """Return the SHA-256 of a text as its file has it."""
    return hashlib.sha256(bytes_of(text)).hexdigest()


def text_of(path: Path) -> str:
    """Read a file such that `bytes_of` gives it back byte for byte, whatever its encoding."""
    return path.read_bytes().decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    """Return the bytes of a file that `text_of` has read."""
    return text.encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Version:
    """A version of production has values, files and the digests that chain it.

    Args:
        number: Its place in the chain, from 0.
        values: Text by service and parameter.
        units: SHA-256 of each unit's own files.
        files: SHA-256 of the version's files by name.
        parent: SHA-256 of the version before.
        author: The user who applied it.
        at: When it was written, ISO 8601.
        promotion: File name of the promotion; None: the user's own configuration.
        promotion_sha256: The promotion's seal.
        promotion_at: When the promotion was last measured, else written, ISO 8601; None: it is the
            user's own, or of a record that does not say.
        restores: The number of the version whose values it brings back.
        device: UUID of the device when it was applied, for the watch.
        driver: Version of the driver then.
        versions: Versions of the servers' packages then.
        neighbours: Units or commands of others on the device then.
        sha256: Digest of all other fields.
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
    promotion_at: str | None = None
    sha256: str = ""

    def digest(self) -> str:
        """Return the SHA-256 of all but itself, as canonical JSON."""
        data = {k: v for k, v in asdict(self).items() if k != "sha256"}
        if self.promotion_at is None:
            del data["promotion_at"]  # earlier records have none
        return digest_of(json.dumps(data, sort_keys=True, separators=(",", ":")))

    @property
    def is_own(self) -> bool:
        """Tell whether it is the user's own configuration, as it was before us."""
        return self.promotion is None

    def __str__(self) -> str:
        """Return the line that a history shows."""
        source = (
            f"restores version {self.restores}"
            if self.restores is not None
            else self.promotion or "as found"
        )
        values = ", ".join(
            f"{k}={'-' if v is None else v}" for s in self.values.values() for k, v in s.items()
        )
        head = f"{self.number:>4}  {self.at[:19]}  {self.author}  {self.sha256[:12]}"
        return f"{head}  {values}  ({source})"


def author() -> str:
    """Return who asks for a change: the user behind sudo, or the user of this process."""
    return os.environ.get("SUDO_USER") or getpass.getuser()
