"""A container runs its entrypoint and its words, as a text or its engine tells them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from objectives.errors import BadInput
from study.container_engine import answered, last_line
from study.container_engine import inspected as engine_inspected
from study.init_spec.forms.command import UnitCommand
from study.init_spec.forms.running import Container
from study.init_spec.forms.words import plain_words
from study.server_words.images import words_in

LOOK_S = 10.0
COMPOSE = "com.docker.compose"
SHM = (64 * 2**20, 65_536_000)  # bytes that engines give without being asked
OF_ENGINE = ("TERM", "container", "HOSTNAME", "HOME")


def command_in(
    command: UnitCommand, container: Container, env: Mapping[str, str], folder: Path
) -> UnitCommand:
    """Return the command in a container: its entrypoint and its words."""
    return replace(
        command,
        argv=words_in(container.image, container.entrypoint, container.command),
        env=env,
        folder=folder,
        container=container,
        interpreter=None,
    )


def port_pair(text: str) -> tuple[int, int] | None:
    """Return a container's port and the host's, from `[IP:]HOST:CONTAINER[/tcp]`.

    >>> port_pair("127.0.0.1:8000:80/tcp"), port_pair("80"), port_pair("8000-8010:80")
    ((80, 8000), None, None)
    """
    match = re.fullmatch(r"(?:\[?[\d.:a-f]+\]?:)?([0-9]{1,5}):([0-9]{1,5})(?:/tcp)?", text)
    return (int(match[2]), int(match[1])) if match else None


@dataclass(frozen=True, slots=True)
class Made:
    """A container of a project of compose is made by these programs, or would be.

    Args:
        engine: Its engine's command.
        words: What begins a command of compose.
        project: The project's name.
        name: Its name.
        pid: Its main process on this machine; 0: it does not run, or nobody says.
    """

    engine: str
    words: tuple[str, ...]
    project: str
    name: str
    pid: int = 0


def made(words: tuple[str, ...], project: str, service: str, folder: Path | None) -> Made:
    """Return the container of a service, as an engine of this machine tells, else as it would be.

    Args:
        words: What begins a command of compose; empty: whichever is on this machine.
        project: The project's name.
        service: The service in it.
        folder: The project's folder, where it may have been started by another name; else None.
    """
    own_engine = words and ("podman" if words[0].startswith("podman") else "docker")
    by = [{"project": project}, {"project.working_dir": str(folder)}][: 1 if folder is None else 2]
    for engine in (own_engine,) if own_engine else ("docker", "podman"):
        for labels in by:
            data = _labelled(engine, {**labels, "service": service})
            own = {k.removeprefix(f"{COMPOSE}."): str(v) for k, v in _labels(data).items()}
            if data is not None:
                return Made(
                    engine,
                    words or _compose_of(engine, own.get("version", "")),
                    own.get("project", project),
                    str(data["Name"]).lstrip("/"),
                    int(data["State"].get("Pid") or 0),
                )
    engine = own_engine or "docker"
    words = words or _compose_of(engine, "")
    is_old = words[0] == "podman-compose" or _version(words).startswith("1.")
    sep = "_" if is_old else "-"
    return Made(engine, words, project, f"{project}{sep}{service}{sep}1")


def _labelled(engine: str, labels: Mapping[str, str]) -> dict[str, Any] | None:
    """Return what an engine knows of the container with these labels; None where it has none."""
    filters = [w for k, v in labels.items() for w in ("--filter", f"label={COMPOSE}.{k}={v}")]
    try:
        listing = ("ps", "--all", *filters, "--format", "{{.Names}}")
        names = answered(engine, *listing, within_s=LOOK_S).stdout.split()
        words = ("inspect", "--type", "container", *names[:1])
        data = engine_inspected(engine, *words, within_s=LOOK_S) if names else None
    except (OSError, subprocess.SubprocessError, ValueError, LookupError, TypeError):
        return None
    is_whole = isinstance(data, dict) and {"Name", "State", "Config"} <= data.keys()
    return data if is_whole else None


def _labels(data: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return (data or {}).get("Config", {}).get("Labels") or {}


def _compose_of(engine: str, version: str) -> tuple[str, ...]:
    """Return what begins a command of compose for an engine of this machine.

    Args:
        engine: The engine.
        version: The version that made its containers; empty: not known.
    """
    alone, plugin = f"{engine}-compose", (engine, "compose")
    if shutil.which(alone) is None:
        return plugin
    is_plugin = not version.startswith("1.") and _version(plugin) != ""
    return plugin if is_plugin else (alone,)


def _version(words: tuple[str, ...]) -> str:
    """Return the version of compose; empty where there is none."""
    try:
        done = answered(*words, "version", "--short", within_s=LOOK_S)
        return done.stdout.strip().removeprefix("v")
    except (OSError, subprocess.SubprocessError):
        return ""


def inspected(program: str, name: str) -> UnitCommand:
    """Return what runs in a container of this machine, as its engine tells.

    Raises:
        BadInput: The engine does not know it, or is not here.
    """
    try:
        data = engine_inspected(program, "inspect", "--type", "container", name, within_s=LOOK_S)
        command = _of_inspection(program, data)
        own = {k: v for k, v in command.env.items() if k not in OF_ENGINE}
        image = _of_image(program, str(data.get("Image", "")))
        return replace(command, env={k: v for k, v in own.items() if image.get(k) != v})
    except subprocess.CalledProcessError as error:
        line = last_line(error, f"exit {error.returncode}")
        raise BadInput(f"container {name}: `{program} inspect` says: {line}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BadInput(
            f"container {name}: {program} does not answer ({type(error).__name__}); "
            "run this where it does, or name the file that starts the container"
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise BadInput(f"container {name}: what `{program} inspect` says is not read") from error


def _of_image(program: str, image: str) -> dict[str, str]:
    """Return the variables that an image sets by itself; none where it is not told."""
    try:
        config = engine_inspected(program, "image", "inspect", image, within_s=LOOK_S)["Config"]
        return dict(str(e).partition("=")[::2] for e in config.get("Env") or [])
    except (OSError, subprocess.SubprocessError, ValueError, LookupError, TypeError):
        return {}


def _of_inspection(program: str, data: Mapping[str, object]) -> UnitCommand:
    config, host = data["Config"], data["HostConfig"]
    assert isinstance(config, dict) and isinstance(host, dict)  # noqa: S101
    env = dict(e.partition("=")[::2] for e in config.get("Env") or [])
    options = [f"--volume={bind}" for bind in host.get("Binds") or []]
    for request in host.get("DeviceRequests") or []:
        ids = ",".join(request.get("DeviceIDs") or [])
        options.append(f"--gpus=device={ids}" if ids else "--gpus=all")
    options += [f"--device={d['PathOnHost']}" for d in host.get("Devices") or []]
    options += [f"--runtime={r}" for r in [host.get("Runtime")] if r == "nvidia"]
    options += [f"--ipc={mode}" for mode in [host.get("IpcMode")] if mode == "host"]
    if (shm := host.get("ShmSize")) and shm not in SHM:
        options.append(f"--shm-size={shm}")
    ports = {
        int(own.partition("/")[0]): int(b[0]["HostPort"])
        for own, b in (host.get("PortBindings") or {}).items()
        if b and b[0].get("HostPort")
    }
    entry = config.get("Entrypoint") or []
    words = (str(data["Path"]), *map(str, data.get("Args") or []))  # type: ignore[call-overload]
    container = Container(
        program=program,
        image=str(config.get("Image") or data.get("ImageName")),
        name=str(data["Name"]).lstrip("/"),
        options=tuple(options),
        entrypoint=tuple(plain_words(entry) if isinstance(entry, str) else map(str, entry)),
        command=tuple(map(str, config.get("Cmd") or [])),
        ports={} if host.get("NetworkMode") == "host" else ports,
        pid=int((data.get("State") or {}).get("Pid") or 0),  # type: ignore[attr-defined]
    )
    folder = Path(str(config.get("WorkingDir") or "/"))
    return UnitCommand(words, env, folder, container=container)
