"""This module builds the package of the tournament sampler for OptunaHub's registry."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from objectives.errors import BadInput
from study.cli.output_folder import usable

PACKAGE = Path("package/samplers/tournament")


def build(into: Path, repository: Path) -> Path:
    """Write the package beside its place, then rename it; return its folder.

    What an earlier build left there is replaced.

    Args:
        into: The folder that becomes a registry.
        repository: The checkout, which has the sampler, its page and the license.

    Raises:
        BadInput: The folder cannot be written, or holds something else in the package's place.
    """
    target = usable(into, "--into") / PACKAGE
    if target.exists() and not (target / "sampler.py").is_file():
        raise BadInput(
            f"{target} is not a package that was built here; move it away or choose another --into"
        )
    usable(target.parent, "--into")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".building-") as beside:
        draft, old = Path(beside, "new"), Path(beside, "old")
        no_caches = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(repository / "study/tournament", draft, ignore=no_caches)
        shutil.copytree(
            repository / "scripts/optunahub", draft, ignore=no_caches, dirs_exist_ok=True
        )
        shutil.copy(repository / "LICENSE", draft)
        if target.exists():
            target.replace(old)
        draft.replace(target)
    return target
