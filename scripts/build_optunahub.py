"""Build the OptunaHub package of the tournament sampler.

    python scripts/build_optunahub.py                      into dist/optunahub
    python scripts/build_optunahub.py --into /tmp/hub      elsewhere

It is the sampler's source, with what scripts/optunahub/ has for the registry. DIR is then a
registry: optunahub.load_local_module("samplers/tournament", registry_root="DIR/package"). To
publish, copy package/ into a fork of optuna/optunahub-registry; its `pre-commit run --all-files`
formats it for shorter lines.
Exit: 0 built, 2 bad input, 3 set-up.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import study.cli.startup  # noqa: F401
from objectives.errors import BadInput
from study.cli.exit_codes import exiting
from study.cli.output_folder import usable
from study.cli.parser import parser

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = Path("package/samplers/tournament")


def build(into: Path) -> Path:
    """Write the package beside its place, then rename it.

    What an earlier build left there is replaced.
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
        shutil.copytree(REPOSITORY / "study/tournament", draft, ignore=no_caches)
        shutil.copytree(
            REPOSITORY / "scripts/optunahub", draft, ignore=no_caches, dirs_exist_ok=True
        )
        shutil.copy(REPOSITORY / "LICENSE", draft)
        if target.exists():
            target.replace(old)
        draft.replace(target)
    return target


def main() -> None:
    """Build the package where the arguments say."""
    options = parser(__doc__)
    default = REPOSITORY / "dist/optunahub"
    options.add_argument(
        "--into", type=Path, default=default, metavar="DIR", help="default dist/optunahub"
    )
    arguments = options.parse_args()
    with exiting():
        print(build(arguments.into))


if __name__ == "__main__":
    main()
