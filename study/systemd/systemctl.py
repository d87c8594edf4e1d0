"""Runs systemctl, and what it says when it fails."""

from __future__ import annotations

import subprocess

from objectives.errors import SetupError, StudyError


class StepFailed(StudyError):
    """A step of a change did not hold; the change is undone. Where nothing had begun yet, the set-up is at fault."""

    exit_code = 3


ABSENT = (
    "Failed to connect to bus",
    "has not been booted with systemd",
)  # what systemctl says where none runs


def run(*argv: str, timeout_s: float = 60.0, check: bool = True) -> str:
    """A command's output.

    raises: SetupError where it is missing or no systemd runs, StepFailed where it fails or takes too long
    """
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=timeout_s, check=False, errors="replace"
        )
    except FileNotFoundError as error:
        raise SetupError(
            f"{argv[0]} is not on this machine; use `env_file:` where there is no systemd"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise StepFailed(f"`{' '.join(argv)}` took longer than {timeout_s:g} s") from error
    if check and done.returncode:
        if any(words in done.stderr for words in ABSENT):
            raise SetupError("no systemd runs on this machine; use `env_file:` where there is none")
        said = (
            done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}"
        ).splitlines()[-1]
        raise StepFailed(f"`{' '.join(argv)}` failed: {said}")
    return done.stdout
