"""A unit that runs today has a command line, an environment, processes and ports, read here."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil

from objectives.apis.short_requests import NoAnswer, request
from objectives.engines.llm_server import USUAL
from objectives.errors import BadInput, SetupError
from study.init_spec.asleep import sleep_of
from study.init_spec.forms.command import UnitCommand
from study.init_spec.forms.named_text import text_of, variables_of
from study.init_spec.forms.running import Running
from study.init_spec.forms.unit_text import commands_of
from study.init_spec.forms.wrappers import unwrapped
from study.server_words.programs import program_of
from study.systemd.manager import find_unit
from study.systemd.systemctl import env_files_of, parse_show, paths_of

RUNNING_PROPERTIES = (
    *("MainPID", "ActiveState", "Environment", "EnvironmentFiles"),
    *("WorkingDirectory", "Restart", "FragmentPath", "DropInPaths"),
)


def running(unit: str) -> Running:
    """Read a unit that runs.

    Raises:
        BadInput: It does not run, or is unknown.
        SetupError: No systemd runs.
    """
    return running_all(unit)[0]


def running_all(unit: str) -> list[Running]:
    """Read what a unit that runs starts: one server, or those of a compose file.

    Raises:
        BadInput: It does not run, or is unknown.
        SetupError: No systemd runs.
    """
    state = find_unit(unit, "--unit")
    output = state.manager.systemctl(
        "show", *(f"--property={p}" for p in RUNNING_PROPERTIES), "--", state.unit
    )
    properties = parse_show(output)
    pid = int(properties.get("MainPID") or 0)
    sleep = sleep_of(state)
    is_up = properties.get("ActiveState") == "active"  # a oneshot may be, without a process
    if not pid and sleep is None and not is_up:
        raise BadInput(
            f"--unit {unit}: it does not run; "
            f"`systemctl start {state.unit}`, for its command is read from it"
        )
    files = tuple(map(Path, env_files_of(properties.get("EnvironmentFiles", ""))))
    env = _environment(properties.get("Environment", ""), files)
    folder = Path(properties.get("WorkingDirectory", "").lstrip("!-").replace("~", "/root") or "/")
    seen = processes(state.unit, pid) if pid else []
    base = Running(
        unit=state.unit,
        argv=(),
        env=env,
        folder=folder,
        restart=properties.get("Restart", "no"),
        pids=tuple(p.pid for p in seen),
        ports=(sleep.port,) if sleep else tuple(sorted({n for p in seen for n in ports_of(p)})),
        sleep=sleep,
        env_files=files,
    )
    written = _written(properties, base)
    if len(written) > 1:
        one = replace(base, ports=())  # which of them is whose, its own words say
        return [of_command(replace(one, member=name), c) for name, c in written]
    begun = [c for p in seen for c in _of_process(p, base)]
    begun.sort(key=lambda c: any(b.matters for b in c.blanks))  # a script's child knows the values
    known = [c for c in begun if program_of(c.argv)] or [
        c for _, c in written if program_of(c.argv)
    ]
    if sleep is not None and not begun:  # it sleeps now
        begun = [c for _, c in written]
    servers = (known or [c for _, c in written if c.container] or begun)[:1]
    if not servers or not (servers[0].argv or servers[0].container):
        raise BadInput(f"--unit {unit}: its process {pid} tells no command; run this as root")
    own = next((c for _, c in written), None)
    return [of_command(base, servers[0], own)]


def of_command(base: Running, command: UnitCommand, written: UnitCommand | None = None) -> Running:
    """Return how a server runs, by its own words and by what its configuration says.

    Args:
        base: What is known of it otherwise.
        command: Its own words.
        written: The same as its configuration writes it, with variables; None: not known.
    """
    written = written or command
    container = command.container
    return replace(
        base,
        argv=command.argv or (f"(the image {container.image if container else ''})",),
        env=command.env if container else {**base.env, **written.env, **command.env},
        folder=command.folder,
        ports=base.ports or (tuple(container.ports.values()) if container else ()),
        container=container,
        interpreter=command.interpreter,
        variables=written.variables,
        hidden=written.hidden,
        plumbing=written.plumbing,
        script=written.script,
        blanks=command.blanks,
        env_files=tuple(dict.fromkeys((*base.env_files, *command.env_files))),
    )


def processes(unit: str, pid: int) -> list[psutil.Process]:
    """Return the processes of a unit or container.

    Args:
        unit: Its name.
        pid: Its main process.

    Raises:
        SetupError: They cannot be looked at.
    """
    try:
        return [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.Error as error:
        raise SetupError(
            f"{unit}: its process {pid} cannot be looked at ({error}); run this again"
        ) from error


def _of_process(process: psutil.Process, base: Running) -> Iterator[UnitCommand]:
    """Yield what a process comes down to, with the whole path of a bare interpreter."""
    with suppress(psutil.Error):
        argv = process.cmdline()
        begun = UnitCommand(tuple(argv), base.env, base.folder)
        for command in unwrapped(begun):
            if command.container is None:
                yield replace(command, interpreter=interpreter(process, command))
            else:
                yield command


def interpreter(process: psutil.Process, command: UnitCommand) -> str | None:
    """Return the whole path of a process's Python, where its first word is not that already."""
    first = command.argv[0]
    if first.startswith("/") or not Path(first).name.startswith(("python", "pypy")):
        return command.interpreter
    with suppress(psutil.Error, OSError):
        if "/" in first:
            return str(Path(process.cwd()) / first)
    with suppress(psutil.Error):
        path = process.environ().get("PATH")
        if program := shutil.which(first, path=path):
            return program
    with suppress(psutil.Error):
        return process.exe() or None
    return command.interpreter


def _written(properties: Mapping[str, str], base: Running) -> list[tuple[str, UnitCommand]]:
    """Return what the unit's own files start, by name; empty where they cannot be read."""
    paths = [properties.get("FragmentPath", ""), *paths_of(properties.get("DropInPaths", ""))]
    texts = []
    for path in filter(None, paths):
        if (text := text_of(Path(path))) is not None:
            texts.append(text)
    try:
        begun = [*commands_of(texts, base.unit, base.env, base.folder)]
        inner = [c for command in begun for c in unwrapped(command)]
    except BadInput:
        return []
    return named(inner)


def named(commands: Sequence[UnitCommand]) -> list[tuple[str, UnitCommand]]:
    """Return the commands that serve, by name; of others only the last one, which a script ends in.

    A compose file has several, and a script that starts servers beside itself.
    """
    of_files = [c for c in commands if c.container and c.container.compose]
    if of_files:
        return [
            (c.container.compose.service if c.container and c.container.compose else "", c)
            for c in of_files
        ]
    known = [(p, c) for c in commands if (p := program_of(c.argv))]
    beside = [(p, c) for p, c in known if c.is_background]
    together = [*beside, *[(p, c) for p, c in known if not c.is_background][:1]]
    if len(together) < 2:
        return [("", c) for c in ([c for _, c in together] or commands[-1:])]
    roles = [program.role for program, _ in together]
    labels = [f"{r}{roles[:n].count(r) + 1 if r in roles[:n] else ''}" for n, r in enumerate(roles)]
    return [(label, c) for label, (_, c) in zip(labels, together, strict=True)]


def serves_llm(argv: Sequence[str]) -> bool:
    """Tell whether a command runs the server of an LLM that a spec means without a name."""
    program = program_of(argv)
    return program is not None and (program.key, program.role) == (USUAL, "llm")


def _environment(text: str, files: Sequence[Path]) -> dict[str, str]:
    """Read `Environment=`, then the files in their order, as systemd lays them over each other."""
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    values = {k: v for k, sep, v in (word.partition("=") for word in words) if sep}
    for file in files:
        values |= variables_of(file)
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
