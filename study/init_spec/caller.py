"""Who has called sudo owns the spec that is written, and has the home that is looked in."""

from __future__ import annotations

import os
import pwd
from contextlib import suppress
from pathlib import Path

from study.fit.model_folder import in_cache


def caller() -> pwd.struct_passwd | None:
    """Return who has called sudo to be root; None: nobody has."""
    with suppress(KeyError):
        return pwd.getpwnam(os.environ["SUDO_USER"]) if os.geteuid() == 0 else None
    return None


def home() -> Path:
    """Return the home of whose files are read: that of who has called sudo, else our own."""
    user = caller()
    return Path.home() if user is None else Path(user.pw_dir)


def own_variables() -> dict[str, str]:
    """Return our variables, with the home of who has called sudo."""
    return {**os.environ, "HOME": str(home())}


def of_shell() -> dict[str, str]:
    """Return what a script that is begun by hand has in any shell: a home, a user and its number.

    They are those of who has called sudo.
    """
    user = caller()
    name = user.pw_name if user else os.environ.get("USER", "")
    own = {"HOME": str(home()), "USER": name, "UID": str(user.pw_uid if user else os.getuid())}
    return {k: v for k, v in own.items() if v}


def give(path: Path) -> None:
    """Give a file or folder that was made here to who has called sudo."""
    if (user := caller()) is not None:
        os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)


def folder_of_model(hub_id: str) -> str | None:
    """Return the folder of a hub's model in the cache of who has called sudo; None: not there."""
    if caller() is None:
        return None
    folder = in_cache(hub_id, [home() / ".cache/huggingface/hub"])
    return None if folder is None else str(folder)
