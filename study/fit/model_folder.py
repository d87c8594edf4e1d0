"""This module finds the folder or file of a model on this machine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from objectives.errors import SetupError
from objectives.servers.versions import cached
from study.spec.files import UNEXPANDED

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
LITTLE = "`hf download {} config.json`, a few KB, is enough to say what fits"


def folder_of(model: str, folders: Sequence[Path], *, is_shipped: bool = False) -> Path:
    """Return the folder or GGUF file of a model, in one of some folders or in the hub's cache.

    Raises:
        SetupError: It is in none.
    """
    for name in (model, *([Path(model).name] if is_shipped else [])):
        for folder in folders:
            path = folder / Path(name).expanduser()
            if path.is_dir() or (path.suffix == ".gguf" and path.is_file()):
                return path
    if HUB_ID.fullmatch(model):
        try:
            return Path(cached(model))
        except SetupError as error:
            raise SetupError(f"{error}; {LITTLE.format(model)}") from error
    if "$" in model:
        raise SetupError(f"there is no {model}; {UNEXPANDED}")
    what = "file" if model.endswith(".gguf") else "folder"
    raise SetupError(
        f"there is no {what} {model}; name one of a model, a GGUF file, or a hub id that is in the "
        "local cache"
    )


def in_cache(hub_id: str, caches: Iterable[Path]) -> Path | None:
    """Return the folder of a hub model in one of some caches; None where it is in none.

    Args:
        hub_id: The model.
        caches: Folders that are laid out as the hub's cache.
    """
    for cache in caches:
        model = cache / f"models--{hub_id.replace('/', '--')}"
        with suppress(OSError):
            folder = model / "snapshots" / (model / "refs/main").read_text().strip()
            if folder.is_dir():
                return folder
    return None
