"""What a unit runs today: the command line, environment and processes that systemd and the kernel tell of."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import psutil

from objectives.errors import BadInput, SetupError
from study.systemd.manager import found

ASKED = (
    "MainPID",
    "Environment",
    "EnvironmentFiles",
    "WorkingDirectory",
    "Restart",
    "FragmentPath",
)


@dataclass(frozen=True, slots=True)
class Running:
    """One unit as it runs now.

    argv: of the process that serves; env: of systemd's `Environment=` and `EnvironmentFile=` alone, so that nothing
    else of the process is written down; ports: on which it listens
    """

    unit: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    folder: Path
    restart: str
    pids: tuple[int, ...]
    ports: tuple[int, ...]

    def path(self, word: str) -> str:
        """A file or folder as the unit sees it, made absolute; any other word as it is."""
        place = self.folder / word
        return str(place) if not word.startswith("/") and "/" in word and place.exists() else word

    @property
    def python(self) -> str | None:
        """Its interpreter, where it has one."""
        first = Path(self.argv[0])
        return (
            str(first)
            if first.name.startswith(("python", "pypy")) and first.is_absolute()
            else None
        )


def running(unit: str) -> Running:
    """Look at a unit that runs.

    raises: BadInput where it does not run or is unknown; SetupError where no systemd does
    """
    state = found(unit)
    shown = state.manager.systemctl("show", *(f"--property={p}" for p in ASKED), "--", state.unit)
    told = dict(line.partition("=")[::2] for line in shown.splitlines())
    pid = int(told.get("MainPID") or 0)
    if not pid:
        raise BadInput(
            f"--unit {unit}: it does not run; `systemctl start {state.unit}`, for its command is read from it"
        )
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        commands = [p.cmdline() for p in processes]
    except psutil.Error as error:
        raise SetupError(
            f"{state.unit}: its process {pid} cannot be looked at ({error}); run this again"
        ) from error
    argv = next((c for c in commands if _serves_llm(c)), commands[0])
    if not argv:
        raise BadInput(f"--unit {unit}: its process {pid} tells no command; run this as root")
    return Running(
        unit=state.unit,
        argv=tuple(argv),
        env=_environment(told.get("Environment", ""), told.get("EnvironmentFiles", "")),
        folder=Path(told.get("WorkingDirectory", "").lstrip("!-").replace("~", "/root") or "/"),
        restart=told.get("Restart", "no"),
        pids=tuple(p.pid for p in processes),
        ports=tuple(sorted({port for p in processes for port in _ports(p)})),
    )


def serves_llm(found_unit: Running) -> bool:
    """Whether it is vLLM."""
    return _serves_llm(found_unit.argv)


def _serves_llm(argv: tuple[str, ...] | list[str]) -> bool:
    module = any(a == "-m" and b.startswith("vllm.") for a, b in pairwise(argv))
    command = any(Path(a).name == "vllm" and b == "serve" for a, b in pairwise(argv))
    return module or command


def _environment(shown: str, files: str) -> dict[str, str]:
    """`Environment=`, then the files in their order, as systemd lays them over each other."""
    try:
        pairs = shlex.split(shown)
    except ValueError:
        pairs = shown.split()
    for word in files.split():
        if word.startswith("/"):
            try:
                lines = Path(word).read_text(errors="replace").splitlines()
            except OSError:
                continue  # ignored by systemd too where it begins with -
            plain = (line.strip() for line in lines)
            pairs += [
                f"{k.strip()}={v.strip().strip(chr(34)).strip(chr(39))}"
                for k, _, v in (
                    line.partition("=") for line in plain if line and line[0] not in "#;"
                )
            ]
    return {k: v for k, sep, v in (pair.partition("=") for pair in pairs) if sep}


def _ports(process: psutil.Process) -> list[int]:
    try:
        connections = process.net_connections(kind="tcp")
    except psutil.Error:
        return []
    return [c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN]


def answers(port: int, method: str, path: str) -> int | None:
    """The HTTP status of a request without a body on this machine; None where nothing answers within 2 s."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as s:
            s.sendall(
                f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
            )
            words = s.recv(256).split()
    except OSError:
        return None
    return (
        int(words[1])
        if len(words) > 1 and words[0].startswith(b"HTTP/") and words[1].isdigit()
        else None
    )
