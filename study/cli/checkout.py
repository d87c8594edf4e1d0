"""This module finds the scripts beside this package, and says how this user runs them."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from objectives.errors import SetupError
from study.cli.parser import PROGRAM, SCRIPTS, is_program


def script_path(name: str) -> Path:
    """Return the absolute path of a script.

    Raises:
        SetupError: The package was installed without its repository.
    """
    path = _script(name)
    if not path.is_file():
        raise SetupError(
            f"a unit runs {path}, which is not there; clone the repository and install it with "
            "`python -m pip install -e .`"
        )
    return path


def _script(name: str) -> Path:
    return Path(__file__).absolute().parents[2] / "scripts" / name


def script_command(script: str) -> list[str]:
    """Return the words that run a script in the current folder: by its path, or as a verb.

    It is a verb where the program was started or no script is there; empty where there is neither.

    Args:
        script: The name of the script, without its ending.
    """
    path = _script(f"{script}.py")
    verb = next((verb for verb, name in SCRIPTS.items() if name == script), None)
    if verb is not None and (is_program() or not path.is_file()):
        is_installed = shutil.which(PROGRAM) is not None
        return [*([PROGRAM] if is_installed else [interpreter(), "-m", "study"]), verb]
    return [interpreter(), as_typed(path)] if path.is_file() else []


def sudo_command(script: str) -> list[str]:
    """Return the words that run a script as root, which does not find what this user finds.

    Args:
        script: The name of the script, without its ending.
    """
    program, *words = script_command(script)
    return ["sudo", as_typed(Path(shutil.which(program) or program)), *words]


def interpreter() -> str:
    """Return `python` where that is the interpreter which runs this, else its path."""
    folder = Path(shutil.which("python") or "").parent
    return "python" if folder == Path(sys.executable).parent else sys.executable


def as_typed(path: Path) -> str:
    """Return a path as one types it: relative where it lies below the current folder."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
