"""This module says which process a trial belongs to, and whether that may still live."""

from __future__ import annotations

import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

PROCESS = "process"  # the attribute of a trial
BOOT = Path("/proc/sys/kernel/random/boot_id")
NAMESPACE = Path("/proc/self/ns/pid")
NEAR_S = 2.0  # how far two readings of one start may be apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The owner of a trial is the process that measures it.

    Args:
        host: The name of its host.
        boot: The id of the boot of that host; None where the system has none.
        namespace: Where its pid counts: a container has pids of its own; None likewise.
        pid: Its process id.
        started_s: When it started, seconds since the epoch.
    """

    host: str
    boot: str | None
    namespace: str | None
    pid: int
    started_s: float

    @classmethod
    def me(cls) -> Owner:
        """Return this process as an owner."""
        me = psutil.Process(os.getpid())
        return cls(
            host=socket.gethostname(),
            boot=BOOT.read_text().strip() if BOOT.exists() else None,
            namespace=str(NAMESPACE.readlink()) if NAMESPACE.exists() else None,
            pid=me.pid,
            started_s=me.create_time(),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return asdict(self)

    def may_live(self, me: Owner, *, is_alone: bool) -> bool:
        """Return whether the process lives, as far as can be told.

        Args:
            me: The process that asks.
            is_alone: Whether it holds the lock of the only folder that the study is measured from,
                so that nobody else of its machine is at work.
        """
        if self.boot is None or self.boot != me.boot:
            if self.host != me.host:
                return True  # another machine: nothing here tells
            if self.boot is not None:
                return False  # this machine has been booted since
        if self.namespace != me.namespace:
            return not is_alone  # its pids mean nothing here
        return _lives(self.pid, self.started_s)


def owner_of(attribute: object, me: Owner) -> Owner | None:
    """Return the owner that a trial names; None where it names none.

    Earlier versions named a pid and its start, of whatever host.
    """
    match attribute:
        case {
            "host": str(host),
            "boot": str() | None as boot,
            "namespace": str() | None as namespace,
            "pid": int(pid),
            "started_s": int() | float() as started_s,
        }:
            pass
        case [int(pid), int() | float() as started_s]:
            host, boot, namespace = me.host, me.boot, me.namespace
        case _:
            return None
    return Owner(host=host, boot=boot, namespace=namespace, pid=pid, started_s=started_s)


def _lives(pid: int, started_s: float) -> bool:
    try:
        return abs(psutil.Process(pid).create_time() - started_s) < NEAR_S
    except (psutil.NoSuchProcess, ValueError, OverflowError):
        return False
