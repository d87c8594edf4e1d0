"""This module lets one user at a time have a device, whatever folder they write to.

A user is a study, a confirmation, a recording or a deployment.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from objectives.devices.machine_lock import is_locked_now, lock_file, opened
from objectives.errors import InUse, SetupError

LOOKS = 20  # /proc/locks is read in pieces: while others lock and unlock, one look may miss a line


@contextmanager
def sole_use(uuid: str) -> Iterator[None]:
    """Hold the device for as long as the block lasts.

    The kernel gives it back whatever becomes of this process.

    Raises:
        InUse: Another process holds it; the error names that process.
        SetupError: The lock cannot be opened.
    """
    path = lock_file(uuid)
    try:
        descriptor = opened(path)
    except OSError as error:
        raise SetupError(
            f"the lock of the device, {path}, cannot be opened ({error.strerror}); remove it"
        ) from error
    try:
        try:
            is_ours = is_locked_now(descriptor)
        except OSError as error:
            raise SetupError(
                f"the lock of the device, {path}, cannot be had ({error.strerror}); "
                "let its folder lie on a local file system"
            ) from error
        if not is_ours:
            raise InUse(
                f"the device {uuid} is in use by another study or rollout "
                f"({holder(descriptor)}); wait for it to end"
            )
        yield
    finally:
        os.close(descriptor)


@contextmanager
def sole_use_of_all(uuids: Iterable[str]) -> Iterator[None]:
    """Hold several devices, in one order for all users, so that two wait for none.

    Raises:
        InUse, SetupError: As `sole_use`.
    """
    with ExitStack() as stack:
        for uuid in sorted({*uuids}):
            stack.enter_context(sole_use(uuid))
        yield


def holder(descriptor: int) -> str:
    """Name the process that holds the lock of an open file, as a person reads it."""
    status = os.fstat(descriptor)
    inode = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    for _ in range(LOOKS):
        for line in Path("/proc/locks").read_text().splitlines():
            words = line.split()
            if words[1] == "FLOCK" and inode in words:
                return _named(words[words.index(inode) - 1])
        time.sleep(0.01)
    return "a process of another container, or one that has just ended"


def _named(pid: str) -> str:
    try:
        command = (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        )
    except OSError:
        return f"process {pid}"
    return f"process {pid}: {' '.join(command.split())[:120]}"
