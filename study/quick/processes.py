"""Processes that serve an LLM or speech now are found here: units, containers, or by hand."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from objectives.devices.device import unit_of
from study.init_spec.forms.running import Running
from study.init_spec.running_units import ports_of, serves_llm

SPEECH = re.compile(r"whisper|transcri|speaches|speech|\bstt\b|\basr\b", re.IGNORECASE)
CONTAINER = re.compile(r"(?:docker|libpod|crio|cri-containerd|containerd)[-/:]([0-9a-f]{12})")


def llm_processes() -> list[Running]:
    """Return each process that runs vLLM's server; a shell or timeout around it is none."""
    return _serving(serves_llm)


def speech_processes() -> list[Running]:
    """Return each process that listens and whose command or variables name speech recognition."""
    return [r for r in _serving(_is_speech) if r.ports]


def _is_speech(argv: Sequence[str]) -> bool:
    return not serves_llm(argv) and SPEECH.search(" ".join(argv)) is not None


def _serving(is_wanted: Callable[[Sequence[str]], bool]) -> list[Running]:
    """Return the Python processes of such a command that no other of them started."""
    by_pid = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has ended, or is another user's
            argv = process.cmdline()
            if argv and is_wanted(argv) and (running := _running(process, argv)).python:
                by_pid[process.pid] = process, running
    return [
        running
        for process, running in by_pid.values()
        if not any(parent in by_pid for parent in _parents(process))
    ]


def _parents(process: psutil.Process) -> list[int]:
    with suppress(psutil.Error):
        return [p.pid for p in process.parents()]
    return []


def _running(process: psutil.Process, argv: Sequence[str]) -> Running:
    """Read a process as `init_spec` reads the one of a unit."""
    folder, env = Path("/"), dict[str, str]()
    with suppress(psutil.Error):
        folder = Path(process.cwd())
    with suppress(psutil.Error):
        env = process.environ()
    family = [process]
    with suppress(psutil.Error):
        family += process.children(recursive=True)
    return Running(
        unit=_name(process.pid),
        argv=(_absolute(argv[0], folder, env), *argv[1:]),
        env=env,
        folder=folder,
        restart="no",
        pids=tuple(p.pid for p in family),
        ports=tuple(sorted({port for p in family for port in ports_of(p)})),
    )


def _absolute(word: str, folder: Path, env: Mapping[str, str]) -> str:
    """Return the file of a command's first word, as the process would have found it."""
    if "/" in word:
        return str(folder / word)
    return shutil.which(word, path=env.get("PATH")) or word


def _name(pid: int) -> str:
    """Name a process by its container or unit, where it has one, and its number."""
    with suppress(OSError):
        text = Path(f"/proc/{pid}/cgroup").read_text(errors="replace")
        if (container := CONTAINER.search(text)) is not None:
            return f"process {pid} in container {container[1]}"
    unit = unit_of(pid)
    return f"process {pid}" if unit is None else f"process {pid} of {unit}"
