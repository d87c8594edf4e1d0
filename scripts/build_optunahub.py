"""Build the OptunaHub package of the tournament sampler: its source, with what scripts/optunahub/ has for the registry.

    python scripts/build_optunahub.py [--into DIR]

DIR is then a registry: optunahub.load_local_module("samplers/tournament", registry_root="DIR/package"). To publish,
copy package/ into a fork of optuna/optunahub-registry; its `pre-commit run --all-files` formats it for shorter lines.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from objectives.errors import BadInput
from study.terminal import exiting

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = Path("package/samplers/tournament")


def build(into: Path) -> Path:
    """Write the package beside its place, then rename; what an earlier build left there is replaced."""
    target = into / PACKAGE
    if into.exists() and not into.is_dir():
        raise BadInput(f"{into} is no folder; choose another with --into")
    if target.exists() and not (target / "sampler.py").is_file():
        raise BadInput(f"{target} is not a package that was built here; move it away or choose another --into")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".building-") as beside:
        draft, old = Path(beside, "new"), Path(beside, "old")
        no_caches = shutil.ignore_patterns("__pycache__", ".*")
        shutil.copytree(REPOSITORY / "study/tournament", draft, ignore=no_caches)
        shutil.copytree(REPOSITORY / "scripts/optunahub", draft, ignore=no_caches, dirs_exist_ok=True)
        shutil.copy(REPOSITORY / "LICENSE", draft)
        if target.exists():
            target.replace(old)
        draft.replace(target)
    return target


def main() -> None:
    """Arguments -> one call."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = REPOSITORY / "dist/optunahub"
    parser.add_argument("--into", type=Path, default=default, metavar="DIR", help="default dist/optunahub")
    with exiting():
        print(build(parser.parse_args().into))


if __name__ == "__main__":
    main()
