"""A unit that runs today has a command line, an environment, processes and ports, read here."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import psutil

from objectives.apis.short_requests import NoAnswer, request
from objectives.errors import BadInput, SetupError
from study.systemd.manager import find_unit
from study.systemd.systemctl import parse_show
from study.systemd.unit_file import env_values

RUNNING_PROPERTIES = ("MainPID", "Environment", "EnvironmentFiles", "WorkingDirectory", "Restart")


@dataclass(frozen=True, slots=True)
class Running:
    """A unit runs like this now.

    Args:
        unit: Its name.
        argv: The words of the process that serves.
        env: systemd's `Environment=` and `EnvironmentFile=` alone, so that nothing else of the
            process is written down.
        folder: Its working directory.
        restart: Its Restart=.
        pids: Its processes.
        ports: TCP ports on which it listens.
    """

    unit: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    folder: Path
    restart: str
    pids: tuple[int, ...]
    ports: tuple[int, ...]

    def path(self, word: str) -> str:
        """Make a file or folder as the unit sees it absolute; return any other word as it is."""
        place = self.folder / word
        return str(place) if not word.startswith("/") and "/" in word and place.exists() else word

    @property
    def python(self) -> str | None:
        """Return its interpreter; None where it has none."""
        first = Path(self.argv[0])
        is_python = first.name.startswith(("python", "pypy")) and first.is_absolute()
        return str(first) if is_python else None


def running(unit: str) -> Running:
    """Read a unit that runs.

    Raises:
        BadInput: It does not run, or is unknown.
        SetupError: No systemd runs.
    """
    state = find_unit(unit)
    output = state.manager.systemctl(
        "show", *(f"--property={p}" for p in RUNNING_PROPERTIES), "--", state.unit
    )
    properties = parse_show(output)
    pid = int(properties.get("MainPID") or 0)
    if not pid:
        raise BadInput(
            f"--unit {unit}: it does not run; "
            f"`systemctl start {state.unit}`, for its command is read from it"
        )
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        commands = [p.cmdline() for p in processes]
    except psutil.Error as error:
        raise SetupError(
            f"{state.unit}: its process {pid} cannot be looked at ({error}); run this again"
        ) from error
    argv = next((c for c in commands if serves_llm(c)), commands[0])
    if not argv:
        raise BadInput(f"--unit {unit}: its process {pid} tells no command; run this as root")
    return Running(
        unit=state.unit,
        argv=tuple(argv),
        env=_environment(properties.get("Environment", ""), properties.get("EnvironmentFiles", "")),
        folder=Path(
            properties.get("WorkingDirectory", "").lstrip("!-").replace("~", "/root") or "/"
        ),
        restart=properties.get("Restart", "no"),
        pids=tuple(p.pid for p in processes),
        ports=tuple(sorted({port for p in processes for port in ports_of(p)})),
    )


def serves_llm(argv: Sequence[str]) -> bool:
    """Tell whether a command runs vLLM's server."""
    module = any(a == "-m" and b.startswith("vllm.") for a, b in pairwise(argv))
    command = any(Path(a).name == "vllm" and b == "serve" for a, b in pairwise(argv))
    return module or command


def _environment(text: str, files: str) -> dict[str, str]:
    """Read `Environment=`, then the files in their order, as systemd lays them over each other."""
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    values = {k: v for k, sep, v in (word.partition("=") for word in words) if sep}
    for file in files.split():
        if file.startswith("/"):
            with suppress(OSError):  # ignored by systemd too where it begins with -
                values |= env_values(Path(file).read_text(errors="replace"))
    return values


def ports_of(process: psutil.Process) -> list[int]:
    """Return the TCP ports on which a process listens, as far as it may be seen."""
    try:
        connections = process.net_connections(kind="tcp")
    except psutil.Error:
        return []
    return [c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN]


def http_status(port: int, method: str, path: str) -> int | None:
    """Return the HTTP status of a request without a body on this machine.

    None: nothing answers within 2 s
    """
    url = f"http://127.0.0.1:{port}{path}"
    try:
        return request(method, url, within_s=2.0).status
    except NoAnswer:
        return None
