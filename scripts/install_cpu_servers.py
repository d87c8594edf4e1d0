"""Install the live servers for a machine without a GPU: vLLM, llama.cpp, speech, two Whispers.

    python scripts/install_cpu_servers.py                       into .servers/, 4.5 GB, in 2 to 5
                                                                minutes
    python scripts/install_cpu_servers.py --into /srv/servers   elsewhere; name its paths in your
                                                                spec

An interrupted installation goes on where it stopped.
Exit: 0 ready, 2 bad input, 3 set-up, 130 stopped.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import study.cli.startup  # noqa: F401
from objectives.rig.install_cpu_servers import install
from study.cli.exit_codes import exiting
from study.cli.parser import parser

SERVERS = Path(__file__).resolve().parents[1] / ".servers"


def main() -> None:
    """Install the servers where the arguments say."""
    options = parser(__doc__)
    options.add_argument(
        "--into", type=Path, default=SERVERS, metavar="DIR", help="default .servers"
    )
    arguments = options.parse_args()
    with exiting():
        into = arguments.into.absolute()
        install(into, say=partial(print, flush=True))
        print(f"ready: {into}")


if __name__ == "__main__":
    main()
