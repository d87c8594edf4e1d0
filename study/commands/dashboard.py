"""Look at a study in the browser, on this machine only.

    python scripts/dashboard.py                   the study that ships, after it was replayed
    python scripts/dashboard.py artifacts/cpu_allocation/study.db
                                                  another one; it may still be running
    python scripts/dashboard.py sqlite:///study.db --port 8081

It is optuna-dashboard with notes, plots and files of our own.
Exit: 0 after Ctrl-C, 2 where there is no such study, 3 where the port is taken.
"""

from __future__ import annotations

from functools import partial

from study.cli.parser import add_storage, parser


def main() -> None:
    """Serve the study that the arguments name."""
    options = parser(__doc__)
    add_storage(options)
    options.add_argument(
        "--port", type=int, default=8080, metavar="N", help="default 8080; 0 takes a free one"
    )
    arguments = options.parse_args()
    if not 0 <= arguments.port <= 65_535:
        options.error(f"--port must be from 0 to 65535, not {arguments.port}")

    from study.cli.exit_codes import exiting
    from study.dashboard.server import serve
    from study.storage.find import storage_url

    with exiting():
        serve(storage_url(arguments.storage), arguments.port, partial(print, flush=True))
