"""The locks of a machine lie where every user of it finds them; the kernel frees a dead user's."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from pathlib import Path

# names another folder for the locks: tests must not disturb a real study
FOLDER_VARIABLE = "ALLOCATION_STUDY_LOCKS"


def lock_file(name: str) -> Path:
    """Return where the lock of a thing lies; the same file for every user of the machine.

    Args:
        name: The thing: `Device.identity.uuid`, or a core.
    """
    name = f"gpu-allocation-{re.sub(r'[^A-Za-z0-9.-]', '_', name)}.lock"
    if folder := os.environ.get(FOLDER_VARIABLE):
        return Path(folder) / name
    run = Path("/run/lock")
    try:
        is_shared = stat.S_IMODE(run.stat().st_mode) & 0o1777 == 0o1777
    except OSError:
        is_shared = False
    # it is opened without following links, and never written
    return (run if is_shared else Path("/tmp")) / name  # noqa: S108


def opened(path: Path) -> int:
    """Open the file of a lock, and make it where it is not there; return its descriptor.

    A lock needs no right to write, so whoever comes second may not have it.

    Raises:
        OSError: It cannot be opened.
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


def is_locked_now(descriptor: int) -> bool:
    """Lock an open file and return whether that went; another process may hold the lock.

    Raises:
        OSError: There are no locks where the file lies.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
