"""The guard is what the kernel gives a launch, so that nothing of it outlives the study."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Sequence
from enum import StrEnum
from functools import cache
from pathlib import Path
from shutil import which

from objectives.servers.supervision import cgroup
from objectives.servers.supervision.container import runs_container

SUPERVISOR = Path(__file__).with_name("supervisor.py")
PROBE, PROBE_S = "probe-", 10.0
SCOPE = ("systemd-run", "--scope", "--quiet", "--collect", "--property=Delegate=yes")
NAMESPACE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
CODE = (
    "import sys; sys.path.append(sys.argv[1])\n"
    "from objectives.servers.supervision import cgroup\n"
    "folder = cgroup.made(sys.argv[2])\n"
    "cgroup.enter(folder)\n"
    "sys.exit(folder is None or cgroup.own_cgroup() != folder)\n"
)


class Guard(StrEnum):
    """A guard is one of these; the first that works is taken. A namespace shows another /proc."""

    CGROUP = "a cgroup of its own"
    SCOPE = "a cgroup in a systemd scope of its own"
    NAMESPACE = "a pid namespace of its own"
    NONE = "its supervisor alone"


@cache
def guard() -> Guard:
    """Return the first guard that this machine permits this user."""
    return next(kind for kind in Guard if permits(kind))


def permits(kind: Guard) -> bool:
    """Tell whether this machine permits this user a guard, by a try."""
    root, name = str(Path(__file__).parents[3]), f"{PROBE}{uuid.uuid4().hex}"
    probe = (sys.executable, "-I", "-S", "-c", CODE, root, name)
    match kind:
        case Guard.CGROUP:
            can_enter = _works(probe)
            for left in (*cgroup.of_name(name), *cgroup.forgotten(PROBE, PROBE_S)):
                cgroup.end(left, PROBE_S)
            return can_enter
        case Guard.SCOPE:  # systemd removes it with what is in it
            return _works([*_scope(), *probe])
        case Guard.NAMESPACE:
            return _works([*_namespace(), "true"])
        case Guard.NONE:
            return True


def supervised(
    kind: Guard,
    files: tuple[int, Path, Path],
    name: str,
    argv: Sequence[str],
    container: tuple[str, str] = ("", ""),
) -> list[str]:
    """Return the command line of a supervisor.

    Args:
        kind: The guard.
        files: The read end of its pipe, its status file and the log.
        name: Names the launch, and its cgroup.
        argv: What it runs.
        container: The program that runs a container and the file of its id; empty words without.
    """
    group = name if kind in (Guard.CGROUP, Guard.SCOPE) else ""
    own = (sys.executable, "-I", "-S", str(SUPERVISOR), *map(str, files), group, *container)
    return [*_prefix(kind, argv), *own, "--", *argv]


def guard_in_words(kind: Guard) -> str:
    """Return a sentence for a person who is about to launch."""
    if kind is Guard.NONE:
        return (
            "each server is kept by its supervisor alone: this machine permits neither cgroups "
            "(version 2) nor pid namespaces, so what hides from it may outlive a supervisor that "
            "is killed, until the next run in this folder"
        )
    return f"each server is kept by {kind.value}: nothing of it outlives the study"


def _prefix(kind: Guard, argv: Sequence[str]) -> list[str]:
    """Return the words before a supervisor's own command.

    Args:
        kind: The guard.
        argv: What the supervisor will run: a container's client and `sudo` need the user's own
            rights, which a namespace of an ordinary user takes.
    """
    if kind is Guard.SCOPE:
        return _scope()
    needs_rights = runs_container(argv) or Path(argv[0]).name == "sudo"
    if kind is Guard.NAMESPACE and not (needs_rights and os.geteuid() != 0):
        return _namespace()
    return []


def _scope() -> list[str]:
    return [*SCOPE, *(["--user"] if os.geteuid() else []), "--"]


def _namespace() -> list[str]:
    return [*NAMESPACE, *(["--user", "--map-current-user"] if os.geteuid() else []), "--"]


def _works(argv: Sequence[str]) -> bool:
    """Tell whether a command ends well."""
    if which(argv[0]) is None:
        return False
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
