"""What a user names is a unit that runs, a container, a process, or a file that starts servers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil

from objectives.errors import BadInput, SetupError
from study.init_spec.caller import of_shell
from study.init_spec.forms.command import UnitCommand
from study.init_spec.forms.compose.files import is_compose
from study.init_spec.forms.compose.services import of_file as services_of
from study.init_spec.forms.containers import inspected
from study.init_spec.forms.manifests import is_manifest, pods, programs
from study.init_spec.forms.named_text import text_of, whole_text_of
from study.init_spec.forms.running import Running
from study.init_spec.forms.unit_text import commands_of
from study.init_spec.forms.wrappers import unwrapped
from study.init_spec.running_units import (
    interpreter,
    named,
    of_command,
    ports_of,
    processes,
    running_all,
)
from study.systemd.unit_file import settings

YAML, UNITS, SCRIPTS = (".yaml", ".yml"), (".service", ".container"), (".sh", ".bash")
# of a process's variables those that tell of who began it: `base` of conda is no Whisper
OF_SESSION = re.compile(r"CONDA_\w+|SUDO_\w+|OLDPWD|LOGNAME|USERNAME|SHELL|_")
LONGEST = 255  # bytes of a name in a folder


def read_sources(names: Sequence[str]) -> list[Running]:
    """Read every server that the names start.

    Args:
        names: Each is a unit that runs, `container:NAME`, `pid:NUMBER`, or a file: of a unit, a
            quadlet, compose, Kubernetes or supervisord, or a shell script; `FILE:SERVICE` takes
            one of several.

    Raises:
        BadInput: One is not read.
        SetupError: A unit is named, and no systemd runs.
    """
    return [server for name in names for server in _read(name)]


def _read(name: str) -> list[Running]:
    kind, _, rest = name.partition(":")
    if kind in ("container", "docker", "podman") and rest:
        program = "podman" if kind == "podman" else "docker"
        return [_running(rest, c) for c in [*unwrapped(inspected(program, rest))][:1]]
    if kind == "pid" and re.fullmatch(r"[0-9]{1,9}", rest):
        return [_of_pid(int(rest))]
    file, service = _file(name)
    if file is None:
        return running_all(name)
    servers = [*_of_file(file)]
    chosen = [c for label, c in servers if service in ("", label, label.rpartition("/")[2])]
    if not chosen:
        labels = ", ".join(label for label, _ in servers) or "none"
        raise BadInput(f"{name}: {file} starts no {service or 'server'}; it has: {labels}")
    return chosen


def _file(name: str) -> tuple[Path | None, str]:
    """Return the file that is named, and the service in it; None: it is a unit's name."""
    if any(len(os.fsencode(part)) > LONGEST for part in name.split("/")):
        raise BadInput(f"{name[:40]}...: no file and no unit has so long a name; write another")
    for text, service in ((name, ""), name.rsplit(":", 1) if ":" in name else ("", "")):
        path = Path(text)
        is_written = "/" in text or path.suffix in (*YAML, *SCRIPTS, ".container", ".conf")
        if text and path.is_file() and (is_written or path.suffix in UNITS):
            plain = Path(os.path.normpath(path))  # no `a/../` in what is written from it
            return plain if plain.exists() and plain.samefile(path) else path, service
        if text and not service and is_written and ":" not in name:
            why = "it is no plain file" if path.exists() else "there is no such file"
            raise BadInput(f"{name}: {why}; name a file, or a unit that runs")
    return None, ""


def _of_file(file: Path) -> Iterator[tuple[str, Running]]:
    """Yield what a file starts, by the name of the service in it."""
    suffix = file.suffix
    commands: list[tuple[str, UnitCommand]] = []
    if suffix in YAML and is_manifest(file):
        commands = [*pods(file)]
    elif suffix in YAML and is_compose(file):
        commands = [*services_of(file.absolute())]
    elif suffix in YAML:
        raise BadInput(
            f"{file}: it is neither a compose file (`services:` with an `image:`) nor a manifest "
            "of Kubernetes with pods; name the file that starts the servers"
        )
    elif suffix == ".conf":
        commands = [*programs(file)]
    elif suffix in UNITS:
        drop_ins = sorted(Path(f"{file}.d").glob("*.conf"))
        texts = [whole_text_of(file), *(text_of(p) or "" for p in drop_ins)]
        begun = [*commands_of(texts, file.name)]
        inner = named([c for command in begun for c in unwrapped(command)])
        unit = file.name.replace(".container", ".service")
        for label, command in inner:
            base = _running(unit, command, label)
            yield label, replace(base, is_unit=True, restart=_restart(texts))
        return
    else:
        by_hand = UnitCommand((str(file.absolute()),), of_shell(), file.absolute().parent)
        commands = [("", by_hand)]
    for label, command in commands:
        for inner_label, inner_command in named([*unwrapped(command)]):
            own = label or inner_label
            yield own, _running(file.name, inner_command, own)


def _restart(texts: Sequence[str]) -> str:
    return "".join(settings(texts, "Service", "Restart")[-1:]) or "no"


def _running(unit: str, command: UnitCommand, member: str = "") -> Running:
    base = Running(unit, (), {}, Path("/"), "no", (), (), is_unit=False, member=member)
    read = of_command(base, command)
    pid = command.container.pid if command.container else 0
    seen: list[psutil.Process] = []
    with suppress(SetupError):  # its engine may be on another machine
        seen = processes(base.label, pid) if pid else []
    ports = tuple(sorted({port for process in seen for port in ports_of(process)}))
    return replace(read, pids=tuple(p.pid for p in seen), ports=read.ports or ports)


def _of_pid(pid: int) -> Running:
    """Read a process that somebody started by hand.

    Raises:
        BadInput: It is not there, or not seen.
    """
    try:
        process = psutil.Process(pid)
        environ = process.environ().items()
        env = {k: v for k, v in environ if not OF_SESSION.fullmatch(k)}
        command = UnitCommand(tuple(process.cmdline()), env, Path(process.cwd()))
        ports = tuple(ports_of(process))
    except psutil.AccessDenied as error:
        way = "run this as root" if os.geteuid() else "name the unit or the file that starts it"
        raise BadInput(f"pid:{pid}: it may not be looked at; {way}") from error
    except psutil.Error as error:
        raise BadInput(f"pid:{pid}: it does not run; name a process that does") from error
    inner = next(iter(unwrapped(command)), None)
    if inner is None:
        raise BadInput(f"pid:{pid}: it tells no command; name the process that serves")
    inner = replace(inner, interpreter=interpreter(process, inner))
    base = _running(f"process {pid}", inner)
    return replace(base, pids=(pid,), ports=ports or base.ports)
