"""Files and folders appear whole or not at all, also where several processes write one."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_atomic(
    path: Path,
    content: str | bytes,
    *,
    mode: int | None = None,
    like: os.stat_result | None = None,
    durable: bool = False,
) -> None:
    """Write a file, whole or not at all, over whatever is there; text becomes UTF-8.

    Args:
        path: The file.
        content: Its text or bytes.
        mode: Its permissions; None leaves them to the umask.
        like: A file whose owner and permissions it gets; they go before `mode`.
        durable: Whether it is on the disk when this returns, so that no power cut takes it back.
    """
    if like is not None:
        mode = stat.S_IMODE(like.st_mode)
    with drafted(path, durable=durable) as draft:
        # others must not read it before it has its owner and mode
        first = 0o666 if mode is None else 0o600
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, first), "wb") as file:
            if like is not None:
                os.fchown(file.fileno(), like.st_uid, like.st_gid)
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.write(content.encode() if isinstance(content, str) else content)
            if durable:
                file.flush()
                os.fsync(file.fileno())


@contextmanager
def drafted(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Give a free name beside `path`; what the block makes there is renamed to `path` at its end.

    Where the block fails, nothing is left of it. A folder takes the place of an empty one only.

    Args:
        path: The file or folder to make.
        durable: Whether the rename is on the disk at the end.
    """
    draft = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}.draft")
    try:
        yield draft
        draft.replace(path)
    except BaseException:
        if draft.is_dir() and not draft.is_symlink():
            shutil.rmtree(draft, ignore_errors=True)
        else:
            draft.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Write the names in a folder to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
