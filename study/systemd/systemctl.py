"""The commands of systemd are run here; an error names what keeps one from its work.

Two files run systemctl themselves, since systemd starts them with the standard library alone:
`study/deploy/targets/wait_ready.py` and `study/service_pause/restore.py`.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from objectives.errors import SetupError

SPAN_S = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
# what systemctl writes where no systemd runs
ABSENT = ("Failed to connect to bus", "has not been booted with systemd")


@dataclass(frozen=True, slots=True)
class WayOut:
    """A way out tells a user what to do without the command, or without systemd.

    Args:
        no_command: What to do where the command is missing.
        no_systemd: What to do where no systemd runs.
    """

    no_command: str
    no_systemd: str


DEPLOY = WayOut("use `env_file:` where there is no systemd", "use `env_file:` where there is none")
LEND = WayOut(
    "units can be lent only where systemd runs",
    "units can be read and lent only where one does",
)


def run(*argv: str, timeout_s: float = 60.0, check: bool = True, way_out: WayOut = DEPLOY) -> str:
    """Run a command and return its output.

    Raises:
        SetupError: It is missing, fails or takes too long, or no systemd runs.
    """
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=timeout_s, check=False, errors="replace"
        )
    except FileNotFoundError as error:
        raise SetupError(f"{argv[0]} is not on this machine; {way_out.no_command}") from error
    except subprocess.TimeoutExpired as error:
        raise SetupError(f"`{' '.join(argv)}` took longer than {timeout_s:g} s") from error
    if check and done.returncode:
        if any(words in done.stderr for words in ABSENT):
            raise SetupError(f"no systemd runs on this machine; {way_out.no_systemd}")
        lines = (
            done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}"
        ).splitlines()
        raise SetupError(f"`{' '.join(argv)}` failed: {lines[-1]}")
    return done.stdout


def parse_show(output: str) -> dict[str, str]:
    """Read the properties from what `systemctl show` writes.

    What has several lines keeps them all.

    >>> parse_show("Id=a.service\\nAfter=b=c\\n")
    {'Id': 'a.service', 'After': 'b=c'}
    """
    found: dict[str, str] = {}
    for name, _, value in (line.partition("=") for line in output.splitlines()):
        found[name] = f"{found[name]}\n{value}" if name in found else value
    return found


def paths_of(value: str) -> list[str]:
    """Return the paths of a list that `systemctl show` writes, which quotes those with a space.

    >>> paths_of('/etc/a.conf "/etc/my own.conf"')
    ['/etc/a.conf', '/etc/my own.conf']
    """
    return shlex.split(value)


def env_files_of(value: str) -> list[str]:
    """Return the files of `EnvironmentFiles=`, a line each; a pattern becomes those that match.

    >>> env_files_of("/etc/my own.env (ignore_errors=no)\\n/etc/b.env (ignore_errors=yes)")
    ['/etc/my own.env', '/etc/b.env']
    """
    patterns = [line.rpartition(" (ignore_errors=")[0] for line in value.splitlines()]
    is_pattern = re.compile(r"[*?\[]").search
    found = ((sorted(map(str, Path("/").glob(p[1:]))) if is_pattern(p) else [p]) for p in patterns)
    return [file for files in found for file in files if file]


def span_s(text: str) -> float:
    """Return a time span of systemd's in seconds.

    >>> span_s("1min 30s"), span_s("infinity")
    (90.0, inf)
    """
    if text == "infinity":
        return float("inf")
    return sum(float(n) * SPAN_S.get(u, 0.0) for n, u in re.findall(r"([\d.]+)([a-z]+)", text))
