"""Finds the scripts beside this package: a unit of systemd runs them by their path."""

from __future__ import annotations

from pathlib import Path

from objectives.errors import SetupError


def script_path(name: str) -> Path:
    """Return the absolute path of a script.

    raises: SetupError where the package was installed without its repository
    """
    path = Path(__file__).absolute().parents[2] / "scripts" / name
    if not path.is_file():
        raise SetupError(
            f"a unit runs {path}, which is not there; clone the repository and install it with "
            "`python -m pip install -e .`"
        )
    return path
