"""Containers lend their GPU too: stopped by their engine, and started by it again."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from objectives.errors import BadInput, SetupError
from study.container_engine import answered, inspected, last_line
from study.systemd.manager import STOP_S

PREFIXES = {"container": ("docker", "podman"), "docker": ("docker",), "podman": ("podman",)}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,200}")
LOOK_S = 30.0
OF_UNIT = "PODMAN_SYSTEMD_UNIT"  # the label of a container that a quadlet's unit runs


@dataclass(frozen=True, slots=True)
class ContainerState:
    """A state is what an engine knows of a container at one moment.

    Args:
        program: The whole path of its engine's command.
        name: Its name.
        status: Its status, such as `running` or `exited`.
        restart: When its engine restarts it, such as `unless-stopped`.
        is_on: Whether it runs.
        pid: Its main process on this machine; 0: none.
    """

    program: str
    name: str
    status: str
    restart: str
    is_on: bool
    pid: int = 0

    @property
    def pids(self) -> frozenset[int]:
        """Return its processes, as far as they are seen."""
        try:
            main = psutil.Process(self.pid) if self.pid else None
            children = main.children(recursive=True) if main else []
        except psutil.Error:
            return frozenset()
        return frozenset({self.pid, *(p.pid for p in children)} - {0})

    @property
    def unit(self) -> str:
        """Return its name as a person reads it beside units."""
        return f"container {self.name}"


def is_container(name: str) -> bool:
    """Tell whether a user's name is that of a container.

    >>> is_container("container:llm"), is_container("user:judge.service")
    (True, False)
    """
    return name.partition(":")[0] in PREFIXES


def find_container(name: str) -> ContainerState:
    """Find a container by the name that a user writes: `container:llm`, or `podman:llm`.

    Raises:
        BadInput: There is none, or it could not be given back once it was stopped.
        SetupError: No engine is here, or it does not answer.
    """
    kind, _, own = name.partition(":")
    if not NAME.fullmatch(own):
        raise BadInput(f"--lend-from {name!r} is no container; write such as container:llm")
    programs = [path for p in PREFIXES[kind] if (path := shutil.which(p)) is not None]
    if not programs:
        raise SetupError(
            f"--lend-from {name}: neither docker nor podman is on this machine; "
            "lend the unit that runs it"
        )
    program, data = _first(name, programs, own)
    config, host, state = (data.get(k) or {} for k in ("Config", "HostConfig", "State"))
    if unit := (config.get("Labels") or {}).get(OF_UNIT):
        raise BadInput(f"--lend-from {name}: {unit} would start it again; --lend-from {unit}")
    if host.get("AutoRemove"):
        raise BadInput(
            f"--lend-from {name}: it was started with --rm and is gone once stopped; "
            "lend the unit that starts it, or stop it yourself"
        )
    return ContainerState(
        program=program,
        name=own,
        status=str(state.get("Status", "")),
        restart=str((host.get("RestartPolicy") or {}).get("Name") or "no"),
        is_on=state.get("Running") is True,
        pid=int(state.get("Pid") or 0),
    )


def _first(name: str, programs: list[str], own: str) -> tuple[str, dict[str, Any]]:
    """Return the first engine that has a container, and what it says of it."""
    problem: SetupError | None = None
    for program in programs:
        try:
            if (data := _inspected(program, own)) is not None:
                return program, data
        except SetupError as error:
            problem = error  # its daemon is off, and another engine may have the container
    if problem is not None:
        raise problem
    raise BadInput(
        f"--lend-from {name}: there is no such container; "
        f"`{programs[0].rpartition('/')[2]} ps` shows those that run"
    )


def _inspected(program: str, name: str) -> dict[str, Any] | None:
    """Return what an engine says of a container; None where it has none of this name.

    Raises:
        SetupError: It does not answer.
    """
    words = ("inspect", "--type", "container", name)
    try:
        data = inspected(program, *words, within_s=LOOK_S)
    except subprocess.CalledProcessError as error:
        refusal = error.stderr.lower()
        if "no such" in refusal or "not found" in refusal:
            return None
        why = last_line(error, f"exit status {error.returncode}")
        raise SetupError(f"`{program} inspect {name}` failed: {why}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _silent((program, *words), error) from error
    except (ValueError, LookupError, TypeError) as error:
        raise SetupError(f"`{program} inspect {name}` said what is not read") from error
    return data if isinstance(data, dict) else None


def stop(container: ContainerState) -> None:
    """Stop a container that runs, in the time that its engine gives it.

    Raises:
        SetupError: It runs on.
    """
    done = _run(container.program, "stop", container.name, timeout_s=STOP_S)
    now = find_container(f"{container.program.rpartition('/')[2]}:{container.name}")
    if now.is_on:
        raise SetupError(f"{container.unit} is {now.status} after it was stopped: {_last(done)}")


def changed(before: ContainerState) -> str | None:
    """Return in a sentence what of a container is not as it was; None where all is."""
    now = find_container(f"{before.program.rpartition('/')[2]}:{before.name}")
    if now.is_on == before.is_on:
        return None
    return f"{before.unit} is {now.status}, it was {before.status}"


def _run(*argv: str, timeout_s: float = LOOK_S) -> subprocess.CompletedProcess[str]:
    try:
        return answered(*argv, within_s=timeout_s, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _silent(argv, error) from error


def _silent(argv: Sequence[str], error: Exception) -> SetupError:
    return SetupError(f"`{' '.join(argv)}` did not end well ({type(error).__name__})")


def _last(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1][:200]
