"""Let one user at a time have a device, whatever folder they write to.

A user is a study, a confirmation, a recording or a deployment.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from objectives.errors import InUse, SetupError

# names another folder for the locks: tests must not disturb a real study
FOLDER_VARIABLE = "ALLOCATION_STUDY_LOCKS"
LOOKS = 20  # /proc/locks is read in pieces: while others lock and unlock, one look may miss a line


def lock_file(uuid: str) -> Path:
    """Return where the lock of a device lies; the same file for every user of the machine.

    Args:
        uuid: `Device.identity.uuid`.
    """
    name = f"gpu-allocation-{re.sub(r'[^A-Za-z0-9.-]', '_', uuid)}.lock"
    if folder := os.environ.get(FOLDER_VARIABLE):
        return Path(folder) / name
    run = Path("/run/lock")
    try:
        is_shared = stat.S_IMODE(run.stat().st_mode) & 0o1777 == 0o1777
    except OSError:
        is_shared = False
    # it is opened without following links, and never written
    return (run if is_shared else Path("/tmp")) / name  # noqa: S108


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
        descriptor = _opened(path)
    except OSError as error:
        raise SetupError(
            f"the lock of the device, {path}, cannot be opened ({error.strerror}); remove it"
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InUse(
                f"the device {uuid} is in use by another study or rollout "
                f"({holder(descriptor)}); wait for it to end"
            ) from error
        yield
    finally:
        os.close(descriptor)


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


def _opened(path: Path) -> int:
    """Open the file, and make it where it is not there.

    A lock needs no right to write, so whoever comes second may not have it.
    """
    for _ in range(3):
        try:
            return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            try:
                descriptor = os.open(
                    path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644
                )
            except FileExistsError:
                continue  # another made it meanwhile
            os.fchmod(descriptor, 0o644)
            return descriptor
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), str(path))
