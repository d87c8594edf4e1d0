"""This module runs the project's commands for tests, in this process or on the command line."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from objectives import waiting

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = ROOT / "scripts" / "run_study.py"


def command(*arguments: object) -> list[str]:
    """Run the real command line of a study."""
    return [sys.executable, str(SCRIPT), *map(str, arguments)]


def run_study(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a study to its end, in this process."""
    return run_script(SCRIPT.name, *arguments, cwd=cwd)


def run_script(
    name: str, *arguments: object, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command of scripts/ to its end, in this process, where a warning is an error.

    `process` runs one as its user does; tests/test_readme.py runs every command of the pages so.
    """
    line = [str(ROOT / "scripts" / name), *map(str, arguments)]
    out, err = stream(), stream()
    with (
        contextlib.chdir(cwd or Path.cwd()),
        restoring(),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        sys.argv = line
        code = exit_code(main_of(name))
        for file in (out, err):
            file.flush()
    texts = [file.buffer.getvalue().decode() for file in (out, err)]  # type: ignore[attr-defined]
    return subprocess.CompletedProcess(line, code, *texts)


def process(
    name: str, *arguments: object, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the real command of scripts/ to its end, with every warning that Python would show."""
    env = {**os.environ, "PYTHONWARNINGS": "default"}
    line = [sys.executable, str(ROOT / "scripts" / name), *map(str, arguments)]
    return subprocess.run(
        line, cwd=cwd, capture_output=True, text=True, timeout=120, check=False, env=env
    )


def stream() -> io.TextIOWrapper:
    """Return a standard stream that is a pipe to nobody."""
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8")


@contextlib.contextmanager
def restoring() -> Iterator[None]:
    """Restore what a command changes of its process: arguments, signals, environment."""
    argv, env = sys.argv, dict(os.environ)
    handlers = {number: signal.getsignal(number) for number in waiting.SIGNALS}
    try:
        yield
    finally:
        sys.argv = argv
        os.environ.clear()
        os.environ.update(env)
        for number, handler in handlers.items():
            signal.signal(number, handler)


@cache
def main_of(name: str) -> Callable[[], object]:
    """Return the main function of a script, which is loaded once."""
    spec = importlib.util.spec_from_file_location(f"scripts_{name[:-3]}", ROOT / "scripts" / name)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    main: Callable[[], object] = module.main
    return main


def exit_code(main: Callable[[], object]) -> int:
    """Return the exit code with which a process of this function would end."""
    try:
        main()
    except SystemExit as ending:
        if isinstance(ending.code, str):
            print(ending.code, file=sys.stderr)
            return 1
        return ending.code or 0
    return 0


@contextlib.contextmanager
def without(package: str) -> Iterator[None]:
    """Import as where a package is not installed, which another takes up only if it is there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, package, None)
        yield


def needs(module: str, extra: str) -> None:
    """Skip a test for want of an extra's package, with the reason; in CI it must be there."""
    if importlib.util.find_spec(module) is None:
        reason = f"{module} is not installed; run: python -m pip install -e '.[{extra}]'"
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must run the tests of the extras: {reason}", pytrace=False)
        pytest.skip(reason)
