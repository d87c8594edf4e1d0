"""A container behind an env file shows its command, its variables, its life and its log."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from study.container_engine import answered, inspected
from study.deploy.targets.target import Life

LOOK_S = 15.0
LINES = 5000


@dataclass(frozen=True, slots=True)
class Seen:
    """A container was seen like this.

    Args:
        argv: The words of its process.
        env: Its variables.
        life: Its run.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    life: Life


def seen(program: str, name: str) -> Seen | None:
    """Look at a container; None where its engine knows none of this name, or does not answer."""
    try:
        return _read(inspected(program, "inspect", "--type", "container", name, within_s=LOOK_S))
    except (OSError, subprocess.SubprocessError):
        return None
    except (ValueError, LookupError, TypeError, AttributeError):
        return None


def _read(data: Mapping[str, Any]) -> Seen:
    state, config = data["State"], data.get("Config") or {}
    is_on = state.get("Running") is True
    code = state.get("ExitCode") or 0
    result = "oom-kill" if state.get("OOMKilled") else f"exit code {code}" if code else ""
    return Seen(
        argv=(str(data.get("Path", "")), *map(str, data.get("Args") or [])),
        env=dict(str(e).partition("=")[::2] for e in config.get("Env") or []),
        life=Life(
            active=is_on,
            invocation=f"{str(data.get('Id', ''))[:12]} {state.get('StartedAt', '')}",
            restarts=int(data.get("RestartCount") or 0),
            result="" if is_on else result,
        ),
    )


def log(program: str, name: str, since_s: float | None) -> str:
    """Return the last lines of a container's log, from a Unix time in s on; None: of all."""
    since = [] if since_s is None else ["--since", f"{since_s:.3f}"]
    try:
        words = ("logs", "--tail", str(LINES), *since, name)
        done = answered(program, *words, within_s=LOOK_S, check=False, stderr=subprocess.STDOUT)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
