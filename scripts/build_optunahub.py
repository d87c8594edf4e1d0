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

from pathlib import Path

import study.cli.startup  # noqa: F401
from study.cli.exit_codes import exiting
from study.cli.parser import parser
from study.showcase.optunahub_package import build

REPOSITORY = Path(__file__).resolve().parents[1]


def main() -> None:
    """Build the package where the arguments say."""
    options = parser(__doc__)
    default = REPOSITORY / "dist/optunahub"
    options.add_argument(
        "--into", type=Path, default=default, metavar="DIR", help="default dist/optunahub"
    )
    arguments = options.parse_args()
    with exiting():
        print(build(arguments.into, REPOSITORY))


if __name__ == "__main__":
    main()
