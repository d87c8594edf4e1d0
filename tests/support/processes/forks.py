"""This module forks a Python program off the process of a test, which has imported what it needs.

A lane, a load generator or a turn takes a second of a core to import what it runs, and a test
starts several. A fork is a process as any other, with pipes, signals and an exit code of its own;
that the programs start as interpreters too is shown by the tests of their commands.
"""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from fake_servers import fakes
from processes.forked import Forked
from processes.zygote import SUPERVISE, Small

from objectives.apis.short_requests import certificates
from objectives.load.sending import process as sending
from objectives.servers import process as servers
from objectives.servers.supervision import keeper, supervisor
from objectives.servers.supervision.guard import SUPERVISOR
from study.dream.rotation import turn_process
from study.lanes.process import lane_process as lanes


def script(name: str, *arguments: object) -> list[str]:
    """Return the command line by which `Forked` runs a command of scripts/."""
    code = f"from processes.commands import main_of; main_of({name!r})()"
    return [sys.executable, "-c", code, *map(str, arguments)]


def forking(patch: pytest.MonkeyPatch) -> None:
    """Let lanes, load generators and turns be forks of whoever starts them."""
    certificates()  # they find imported what the first request to a server needs
    for module in (lanes, sending):
        patch.setattr(module, "subprocess", _with(Forked))
    patch.setattr(turn_process, "subprocess", _with(_supervised))


def forking_servers(patch: pytest.MonkeyPatch) -> None:
    """Let fake servers be forks of a zygote, and what supervises them."""
    patch.setattr(servers, "subprocess", _with(_served))


def supervise() -> None:
    """Be a supervisor, of which the turn is a fork, and its keeper."""
    supervisor.subprocess = _with(_below)  # type: ignore[assignment]
    supervisor.main(sys.argv[1:4], sys.argv[4], sys.argv[5:7], sys.argv[8:])


def keep() -> None:
    """Be the keeper of a supervisor."""
    keeper.main(sys.argv[1:])


def _served(line: list[str], **options: Any) -> subprocess.Popen[bytes]:
    if str(fakes.FAKE) not in line:
        return subprocess.Popen(line, **options)
    return _supervisor(Small, SUPERVISE, line, options)


def _supervised(line: list[str], **options: Any) -> subprocess.Popen[bytes]:
    return _supervisor(Forked, "from processes import forks; forks.supervise()", line, options)


def _supervisor(
    start: type[subprocess.Popen[bytes]], code: str, line: list[str], options: dict[str, Any]
) -> subprocess.Popen[bytes]:
    if (file := str(SUPERVISOR)) not in line[:4]:  # it is in a scope or a namespace
        return subprocess.Popen(line, **options)
    return start([sys.executable, "-c", code, *line[line.index(file) + 1 :]], **options)


def _below(line: list[str], **options: Any) -> subprocess.Popen[bytes]:
    if turn_process.CODE in line:
        return Forked(line, **options)
    if (file := str(supervisor.KEEPER)) in line[:4]:
        words = line[line.index(file) + 1 :]
        return Forked(
            [sys.executable, "-c", "from processes import forks; forks.keep()", *words], **options
        )
    return subprocess.Popen(line, **options)


def _with(start: object) -> SimpleNamespace:
    """Return the module `subprocess` with another Popen."""
    return SimpleNamespace(**vars(subprocess) | {"Popen": start})
