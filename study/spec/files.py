"""This module finds the interpreters, programs and models that a spec names."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from study.spec.yaml_node import YamlEntry

# what to name, by how an engine takes its model
MODEL_KINDS = {
    "folder": "the model's folder or hub id",
    "file": "the model's file",
    "name": "the model as the engine has it, such as `qwen2.5:7b`",
}
UNEXPANDED = "write the path out: variables are not expanded here"
# models of random weights, which scripts/make_models.py writes
RANDOM_MODELS = ("llm-19b", "llm-7b", "small-random")


def interpreter(entry: YamlEntry, name: str, folder: Path) -> str:
    """Return the absolute path of an interpreter."""
    return program_at(entry, name, folder, "interpreter")


def program_at(entry: YamlEntry, name: str, folder: Path, what: str = "program") -> str:
    """Return the absolute path of a program.

    Links stay, since a virtual environment is known by its own.
    """
    way_out = _way_out(name, "name the file of an existing one")
    if os.sep not in name:
        if executable := shutil.which(name):
            return str(Path(executable).absolute())
        raise entry.wrong(f"{name!r} is not on the PATH", way_out)
    if path := file_at(
        name, (folder, Path()), lambda file: file.is_file() and os.access(file, os.X_OK)
    ):
        return str(path)
    raise entry.wrong(f"there is no {what} {name!r}", way_out)


def model_at(entry: YamlEntry, name: str, folder: Path, *, is_file: bool = False) -> str:
    """Return the absolute path of a model's folder or file, or the hub id of a folder as it is."""
    if is_file:
        if path := file_at(name, (folder, Path()), Path.is_file):
            return str(path)
        raise entry.wrong(f"there is no file {name!r}", _way_out(name, "name the file of a model"))
    if path := file_at(name, (folder, Path()), Path.is_dir):
        return str(path)
    if re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", name):
        return name
    raise entry.wrong(
        f"there is no folder {name!r}",
        _way_out(name, "name a model's folder or a hub id, org/name"),
    )


def file_at(name: str, folders: Iterable[Path], test: Callable[[Path], bool]) -> Path | None:
    """Return the absolute path of a file or folder that passes the test; links stay as they are."""
    for folder in folders:
        full = os.path.expanduser(name) if name[:1] == "~" else folder / name  # noqa: PTH111
        path = Path(full).absolute()
        try:
            if name and test(path):
                return path
        except OSError:  # the name is too long, or the folder may not be entered
            continue
    return None


def _way_out(name: str, otherwise: str) -> str:
    if "$" in name:
        return UNEXPANDED
    if ".servers" not in Path(name).parts:
        return otherwise
    if Path(name).name in RANDOM_MODELS:
        return "run python scripts/make_models.py --like .servers/models/whisper/base"
    return "run python scripts/install_cpu_servers.py"
