"""A server and all that it starts are in a cgroup (version 2) of their own, killed at one stroke.

This needs no name, parent or environment of a process: whoever is in the cgroup ends, also one
that is just being forked. The standard library is all that it needs.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

PREFIX = "gpu-allocation-server-"
LOOK_S = 0.02


def mount_point() -> tuple[str, Path] | None:
    """Return what of the cgroups is mounted, and where; None where version 2 is not."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            before, _, after = line.partition(" - ")
            fields = before.split()
            if after.startswith("cgroup2 "):
                return fields[3], Path(fields[4])
    return None


def own_cgroup() -> Path | None:
    """Return the folder of this process's cgroup; None where it cannot be seen."""
    mount = mount_point()
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    path = next((line[3:] for line in lines if line.startswith("0::")), None)
    if mount is None or path is None or "/.." in path:
        return None
    root, point = mount
    inside = Path(path)
    return point / inside.relative_to(root) if inside.is_relative_to(root) else None


def made(name: str) -> Path | None:
    """Make a cgroup below this process's own, which children may enter; None where that cannot be.

    Args:
        name: What it is called, after a prefix of ours.
    """
    own = own_cgroup()
    if own is None or not os.access(own / "cgroup.procs", os.W_OK):
        return None
    folder = own / f"{PREFIX}{name}"
    try:
        folder.mkdir()
    except OSError:
        return None
    if (folder / "cgroup.kill").exists():  # Linux 5.14 and later
        return folder
    folder.rmdir()
    return None


def enter(folder: Path | None) -> None:
    """Move this process into a cgroup; fine where there is none, or the kernel refuses."""
    if folder is not None:
        with contextlib.suppress(OSError):
            (folder / "cgroup.procs").write_text("0")


def kill(folder: Path | None) -> None:
    """Kill whoever is in a cgroup; fine when it is gone."""
    if folder is not None:
        with contextlib.suppress(OSError):
            (folder / "cgroup.kill").write_text("1")


def is_populated(folder: Path) -> bool:
    """Tell whether a process lives in a cgroup or below it."""
    try:
        return "populated 1" in (folder / "cgroup.events").read_text()
    except OSError:
        return False


def end(folder: Path | None, patience_s: float) -> bool:
    """Kill whoever is in a cgroup, wait, and remove it; tell whether anybody was in it."""
    if folder is None:
        return False
    was_populated, until = is_populated(folder), time.monotonic() + patience_s
    kill(folder)
    while is_populated(folder) and time.monotonic() < until:
        time.sleep(LOOK_S)
        kill(folder)
    for place, _, _ in os.walk(folder, topdown=False):  # it may have made some of its own
        with contextlib.suppress(OSError):
            Path(place).rmdir()
    return was_populated


def of_name(name: str) -> list[Path]:
    """Return the cgroups that `made` has given this name, wherever in the tree."""
    mount = mount_point()
    places = os.walk(mount[1]) if mount else ()  # which minds none that goes meanwhile
    return [Path(place) for place, _, _ in places if Path(place).name == f"{PREFIX}{name}"]


def forgotten(name: str, age_s: float) -> list[Path]:
    """Return the empty cgroups below this process's own whose name, after ours, begins like this.

    Args:
        name: Its beginning.
        age_s: How old they are at least, s; who makes one uses it at once.
    """
    own = own_cgroup()
    folders = [] if own is None else list(own.glob(f"{PREFIX}{name}*"))
    return [f for f in folders if not is_populated(f) and _age_s(f) > age_s]


def _age_s(folder: Path) -> float:
    """Return how old a folder is, s; 0 where it has gone."""
    try:
        return time.time() - folder.stat().st_ctime
    except OSError:
        return 0.0
