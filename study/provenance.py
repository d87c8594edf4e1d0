"""This module says which version of this project ran."""

from __future__ import annotations

import functools
import hashlib
import subprocess
from pathlib import Path

import objectives


@functools.cache
def git_commit(folder: Path) -> str | None:
    """Return the commit of the checkout that holds `folder`, with `+` where it has changes.

    It is None outside one. A process is asked once: what it runs is what it began with.
    """
    try:
        process = subprocess.run(
            ["git", "-C", folder, "describe", "--always", "--dirty=+", "--abbrev=12"],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return process.stdout.strip()


@functools.cache
def measuring_code() -> str:
    """Return a digest of the code that measures: of every module of `objectives`."""
    root, digest = Path(objectives.__file__).parent, hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]
