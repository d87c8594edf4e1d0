"""Units of the machine tell their state and are stopped and started by systemd's own commands."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from objectives import waiting
from objectives.errors import SetupError
from study.systemd import systemctl
from study.systemd.systemctl import env_files_of, parse_show, paths_of, span_s
from study.systemd.unit_file import settings

UNIT_PROPERTIES = (
    "LoadState ActiveState SubState MainPID NRestarts InvocationID Result FragmentPath DropInPaths "
    "Restart TimeoutStartUSec EnvironmentFiles UnitFileState RequiredBy BoundBy ConsistsOf"
)
KILL_S = 10.0
COMMITTED = "zzz-gpu-allocation-1-committed.conf"  # after override.conf, and before the trial's
# another name than the committed one: a file in /etc would hide one of the same name in /run
TRIAL = "zzz-gpu-allocation-2-trial.conf"
OUR_DROP_INS = (COMMITTED, TRIAL)


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit is described as it was at one moment.

    Args:
        name: Its name.
        load: systemd's LoadState.
        active: systemd's ActiveState.
        main_pid: Its main process; 0: none.
        restarts: How often systemd restarted it by itself.
        invocation: systemd's id of this run.
        result: How its last run ended.
        files: Its own files in systemd's order, without our drop-ins.
        drop_ins: All drop-ins, ours too.
        restart: Its Restart=.
        start_timeout_s: The longest that its start may take, s.
        env_files: Its EnvironmentFile= paths.
        dependents: Units that stop when it stops.
    """

    name: str
    load: str
    active: str
    main_pid: int
    restarts: int
    invocation: str
    result: str
    files: tuple[Path, ...]
    drop_ins: tuple[Path, ...]
    restart: str
    start_timeout_s: float
    env_files: tuple[Path, ...]
    dependents: tuple[str, ...]

    def texts(self) -> list[str]:
        """Read its own files, in the order in which systemd does."""
        return [file.read_text("utf-8", errors="replace") for file in self.files]

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of its own files, without our drop-ins."""
        return hashlib.sha256("\0".join(self.texts()).encode()).hexdigest()


def unit(name: str) -> Unit:
    """Return a unit as systemd knows it now."""
    return units([name])[0]


def units(names: Sequence[str]) -> list[Unit]:
    """Return several units as systemd knows them now, by one command."""
    properties = (f"--property={p}" for p in UNIT_PROPERTIES.split())
    output = systemctl.run("systemctl", "show", *names, *properties)
    blocks = output.strip().split("\n\n")
    return [_unit(name, parse_show(block)) for name, block in zip(names, blocks, strict=True)]


def _unit(name: str, properties: Mapping[str, str]) -> Unit:
    drop_ins = tuple(map(Path, paths_of(properties.get("DropInPaths", ""))))
    dependents = {
        u
        for key in ("RequiredBy", "BoundBy", "ConsistsOf")
        for u in properties.get(key, "").split()
    }
    own = [Path(properties["FragmentPath"])] if properties.get("FragmentPath") else []
    return Unit(
        name=name,
        load=properties.get("LoadState", "not-found"),
        active=properties.get("ActiveState", "inactive"),
        main_pid=int(properties.get("MainPID") or 0),
        restarts=int(properties.get("NRestarts") or 0),
        invocation=properties.get("InvocationID", ""),
        result=properties.get("Result", ""),
        files=tuple(own + [p for p in drop_ins if p.name not in OUR_DROP_INS]),
        drop_ins=drop_ins,
        restart=properties.get("Restart", "no"),
        start_timeout_s=span_s(properties.get("TimeoutStartUSec", "infinity")),
        env_files=tuple(map(Path, env_files_of(properties.get("EnvironmentFiles", "")))),
        dependents=tuple(sorted(dependents)),
    )


def ordered_after(name: str, *, but: str) -> set[str]:
    """Return the units that start before this one, also by way of others.

    Args:
        but: The drop-in of this unit that does not count.
    """
    names: set[str] = set()
    waiting = [name]
    while waiting:
        words = ("--property=After", "--", *waiting)
        lines = [
            line
            for line in systemctl.run("systemctl", "show", *words).splitlines()
            if line.startswith("After=")
        ]
        before = {
            u
            for line in lines
            for u in line.removeprefix("After=").split()
            if u.endswith(".service")
        }
        if waiting == [name]:
            ours = [p for p in unit(name).drop_ins if p.name == but]
            before -= {
                u
                for p in ours
                for line in settings([p.read_text()], "Unit", "After")
                for u in line.split()
            }
        waiting = sorted(before - names)
        names |= before
    return names


def reload() -> None:
    """Have systemd read its files anew."""
    systemctl.run("systemctl", "daemon-reload", timeout_s=120)


def stop(names: Sequence[str], timeouts_s: Sequence[float]) -> list[str]:
    """Stop units in this order, wait, and return those that had to be killed.

    Raises:
        SetupError: One lives on even then.
    """
    killed = []
    for name, timeout_s in zip(names, timeouts_s, strict=True):
        systemctl.run("systemctl", "stop", "--no-block", name)
        if not _ended(name, timeout_s):
            systemctl.run(
                "systemctl", "kill", "--signal=SIGKILL", "--kill-who=all", name, check=False
            )
            killed.append(name)
            if not _ended(name, KILL_S):
                raise SetupError(f"{name} does not stop, even by SIGKILL")
    return killed


def _ended(name: str, timeout_s: float) -> bool:
    until = time.monotonic() + timeout_s
    while unit(name).active not in ("inactive", "failed"):
        if time.monotonic() > until:
            return False
        waiting.sleep(0.1)
    return True


def start(name: str) -> None:
    """Forget earlier failures, then start a unit without waiting for it."""
    systemctl.run("systemctl", "reset-failed", name, check=False)
    systemctl.run("systemctl", "start", "--no-block", name)


def journal(state: Unit, since_s: float | None = None) -> str:
    """Return what this run of a unit has logged, at most its last 5,000 lines.

    Args:
        since_s: Unix time in s from which on; None: all of it.
    """
    span = () if since_s is None else (f"--since=@{since_s:.3f}",)
    own = f"_SYSTEMD_INVOCATION_ID={state.invocation}"
    flags = ("--no-pager", "--output=cat", "--lines=5000", "--quiet")
    return systemctl.run("journalctl", *flags, *span, own, check=False)


def processes(main_pid: int) -> list[psutil.Process]:
    """Return a unit's main process and all below it."""
    try:
        main = psutil.Process(main_pid)
        return [main, *main.children(recursive=True)]
    except psutil.Error:
        return []
