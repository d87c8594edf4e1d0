"""Look at a study in the browser: optuna-dashboard with notes, plots and files of our own, on this machine only.

    python scripts/dashboard.py                                  the study that ships, after it was replayed
    python scripts/dashboard.py artifacts/cpu_allocation/study.db           another one; it may still be running
    python scripts/dashboard.py sqlite:///study.db --port 8081

Exit: 0 after Ctrl-C, 2 where there is no such study, 3 where the port is taken.
"""

from __future__ import annotations

import study.cli.startup  # noqa: F401
from study.cli.exit_codes import exiting
from study.cli.parser import parser
from study.dashboard.server import serve
from study.storage.find import storage_url


def main() -> None:
    """Arguments -> a storage that is there -> one call."""
    options = parser(__doc__)
    options.add_argument(
        "storage",
        nargs="?",
        metavar="STORAGE",
        help="a study.db or a URL; default: the study that ships",
    )
    options.add_argument(
        "--port", type=int, default=8080, metavar="N", help="default 8080; 0 takes a free one"
    )
    given = options.parse_args()
    if not 0 <= given.port <= 65_535:
        options.error(f"--port must be from 0 to 65535, not {given.port}")
    with exiting():
        serve(storage_url(given.storage), given.port, lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
