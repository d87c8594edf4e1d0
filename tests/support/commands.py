"""The commands of this project as tests run them."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "run_study.py"


def command(*arguments: object) -> list[str]:
    """The real command line, with every warning that Python would show."""
    return [sys.executable, str(SCRIPT), *map(str, arguments)]


def run_study(
    *arguments: object, cwd: Path | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """The real command, to its end."""
    return run_script("run_study.py", *arguments, cwd=cwd, **options)


def run_script(
    name: str, *arguments: object, cwd: Path | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """A command of scripts/, to its end."""
    env = {**os.environ, "PYTHONWARNINGS": "default"}
    line = [sys.executable, str(SCRIPT.with_name(name)), *map(str, arguments)]
    return subprocess.run(
        line, cwd=cwd, capture_output=True, text=True, timeout=60, check=False, env=env, **options
    )


def needs(module: str, extra: str) -> None:
    """Skip a test for want of an extra's package, with the reason; in CI it must be there."""
    if importlib.util.find_spec(module) is None:
        reason = f"{module} is not installed; run: python -m pip install -e '.[{extra}]'"
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must run the tests of the extras: {reason}", pytrace=False)
        pytest.skip(reason)
