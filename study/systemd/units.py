"""systemd through its own commands, always as a list of words: the state of a unit, stop, start, logs, timers."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from objectives.errors import SetupError
from study.systemd.systemctl import run
from study.systemd.unit_file import settings

PROPERTIES = (
    "LoadState ActiveState SubState MainPID NRestarts InvocationID Result FragmentPath DropInPaths Restart "
    "TimeoutStartUSec EnvironmentFiles UnitFileState RequiredBy BoundBy ConsistsOf"
)
SPAN_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
KILL_S = 10.0


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit at one moment; its sha256 is of its own files, without our drop-ins."""

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
        """Its own files' text, in the order in which systemd reads them."""
        return [file.read_text("utf-8", errors="replace") for file in self.files]

    @property
    def sha256(self) -> str:
        """Of its own files."""
        return hashlib.sha256("\0".join(self.texts()).encode()).hexdigest()


def unit(name: str) -> Unit:
    """A unit as systemd knows it now."""
    shown = run("systemctl", "show", name, *(f"--property={p}" for p in PROPERTIES.split()))
    told = dict(line.partition("=")[::2] for line in shown.splitlines())
    drop_ins = tuple(Path(p) for p in told.get("DropInPaths", "").split())
    own = [Path(told["FragmentPath"])] if told.get("FragmentPath") else []
    return Unit(
        name=name,
        load=told.get("LoadState", "not-found"),
        active=told.get("ActiveState", "inactive"),
        main_pid=int(told.get("MainPID") or 0),
        restarts=int(told.get("NRestarts") or 0),
        invocation=told.get("InvocationID", ""),
        result=told.get("Result", ""),
        files=tuple(own + [p for p in drop_ins if p.name not in OURS]),
        drop_ins=drop_ins,
        restart=told.get("Restart", "no"),
        start_timeout_s=span_s(told.get("TimeoutStartUSec", "infinity")),
        env_files=tuple(
            Path(p) for p in re.findall(r"(/\S+) \(ignore_errors", told.get("EnvironmentFiles", ""))
        ),
        dependents=tuple(
            sorted(
                {
                    u
                    for key in ("RequiredBy", "BoundBy", "ConsistsOf")
                    for u in told.get(key, "").split()
                }
            )
        ),
    )


def ordered_after(name: str, *, but: str) -> set[str]:
    """The units that start before this one, also by way of others; but: drop-in that does not count, of this unit."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        asked = ("--property=After", "--", *waiting)
        told = [
            line
            for line in run("systemctl", "show", *asked).splitlines()
            if line.startswith("After=")
        ]
        before = {
            u
            for line in told
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
        waiting = sorted(before - found)
        found |= before
    return found


def span_s(text: str) -> float:
    """systemd's time span in seconds.

    >>> span_s("1min 30s"), span_s("infinity")
    (90.0, inf)
    """
    if text == "infinity":
        return float("inf")
    return sum(float(n) * SPAN_S.get(u, 0.0) for n, u in re.findall(r"([\d.]+)([a-z]+)", text))


def reload() -> None:
    """Have systemd read its files anew."""
    run("systemctl", "daemon-reload", timeout_s=120)


def stop(names: Sequence[str], timeouts_s: Sequence[float]) -> list[str]:
    """Stop units in this order and wait; those that would not were killed, and are named.

    raises: SetupError where one lives on even then
    """
    killed = []
    for name, timeout_s in zip(names, timeouts_s, strict=True):
        run("systemctl", "stop", "--no-block", name)
        if not _ended(name, timeout_s):
            run("systemctl", "kill", "--signal=SIGKILL", "--kill-who=all", name, check=False)
            killed.append(name)
            if not _ended(name, KILL_S):
                raise SetupError(f"{name} does not stop, even by SIGKILL")
    return killed


def _ended(name: str, timeout_s: float) -> bool:
    until = time.monotonic() + timeout_s
    while unit(name).active not in ("inactive", "failed"):
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def start(name: str) -> None:
    """Forget earlier failures, then start without waiting; what comes of it, `unit` tells."""
    run("systemctl", "reset-failed", name, check=False)
    run("systemctl", "start", "--no-block", name)


def journal(found: Unit, since_s: float | None = None) -> str:
    """What this run of a unit has logged, at most its last 5,000 lines; since_s: from this time of the clock on."""
    span = () if since_s is None else (f"--since=@{since_s:.3f}",)
    own = f"_SYSTEMD_INVOCATION_ID={found.invocation}"
    return run(
        "journalctl",
        "--no-pager",
        "--output=cat",
        "--lines=5000",
        "--quiet",
        *span,
        own,
        check=False,
    )


def processes(main_pid: int) -> list[psutil.Process]:
    """A unit's main process and all below it."""
    try:
        main = psutil.Process(main_pid)
        return [main, *main.children(recursive=True)]
    except psutil.Error:
        return []


COMMITTED = "zzz-gpu-allocation-1-committed.conf"  # after override.conf, and before the trial's
TRIAL = "zzz-gpu-allocation-2-trial.conf"  # another name: a file in /etc would hide one of the same name in /run
OURS = (COMMITTED, TRIAL)
