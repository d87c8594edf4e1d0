"""A file that root acts on may be written by nobody but root and who asked for it.

A seal proves that a promotion was not damaged, not who wrote it: whoever may write the file, or
exchange it or a folder above it, may forge it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from objectives.errors import BadInput

MOST_LINKS = 40
ROOT_ONLY = frozenset({0})


def trusted_users() -> frozenset[int]:
    """Return the numbers of root, of this process's user, and of who called sudo."""
    user = os.geteuid()
    caller = os.environ.get("SUDO_UID", "") if user == 0 else ""
    return frozenset({0, user, *([int(caller)] if caller.isdecimal() else [])})


def check_trusted(path: Path, users: Collection[int] | None = None) -> None:
    """Check that nobody but these users can write a file or folder, or exchange it.

    Every folder and link on the way is looked at. An access list that lets somebody else write
    shows in the mode, since the group's bits are then the most that the list gives. Above the
    file's own folder one that all may write is fine where only owners may remove (`/tmp`).

    Args:
        path: The file or folder.
        users: Their numbers; None: root, this process's user, and who called sudo.

    Raises:
        BadInput: Somebody else can, or it is not there.
    """
    allowed = trusted_users() if users is None else users
    try:
        steps = list(_steps(path))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}; name a file that is there") from error
    end, kind = steps[-1][0], steps[-1][1].st_mode
    own_folder = end if stat.S_ISDIR(kind) else end.parent
    problems = []
    for at, status in dict(steps).items():
        if status.st_uid not in allowed:
            problems.append(f"{at} belongs to user {status.st_uid}")
        is_open = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not stat.S_ISLNK(
            status.st_mode
        )
        if is_open and (at in (end, own_folder) or not status.st_mode & stat.S_ISVTX):
            problems.append(f"others may write {at} (mode {stat.S_IMODE(status.st_mode):04o})")
    if problems:
        own = "root" if set(allowed) == ROOT_ONLY else "root and you"
        raise BadInput(
            f"others than {own} could have written or exchanged it: "
            f"{'; '.join(problems)}; run `chmod go-w` on what others may write, or look at it "
            f"and copy it to where only root writes: `sudo install -D -m 644 {path} "
            f"/etc/gpu-allocation/files/{path.name}`",
            str(path),
        )


def _steps(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield every folder, link and file from / to a path, as the kernel walks them.

    Raises:
        OSError: One is not there, or the links make a circle.
    """
    at, links, words = Path("/"), 0, [*reversed(path.absolute().parts)]
    while words:
        word = words.pop()
        at = Path("/") if word == "/" else at.parent if word == ".." else at / word
        status = at.lstat()
        yield at, status
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            words += reversed(at.readlink().parts)
            at = at.parent
