"""Look at a study in the browser, on this machine.

    python scripts/dashboard.py                   the study that ships, after it was replayed
    python scripts/dashboard.py artifacts/cpu_allocation/study.db
                                                  another one; it may still be running
    python scripts/dashboard.py sqlite:///study.db --port 8081
    python scripts/dashboard.py logs/dream        all experiments of a runner, by its --logdir
    ssh -L 8080:127.0.0.1:8080 MACHINE            on another machine, before its browser
    python scripts/dashboard.py --host 192.0.2.7  served there too, to whoever has its token

It is optuna-dashboard with notes, plots and files of our own.
Exit: 0 after Ctrl-C, 2 where there is no such study, 3 where the port is taken.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from study.cli.parser import add_storage, parser


def main() -> None:
    """Serve the study that the arguments name."""
    options = parser(__doc__)
    add_storage(options)
    options.add_argument(
        "--port", type=int, default=8080, metavar="N", help="default 8080; 0 takes a free one"
    )
    options.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="by which others reach this machine; the address that is shown has a token then",
    )
    arguments = options.parse_args()
    if not 0 <= arguments.port <= 65_535:
        options.error(f"--port must be from 0 to 65535, not {arguments.port}")

    from study.cli.exit_codes import exiting
    from study.dashboard.imports import without_scikit_learn

    with without_scikit_learn():
        from study.dashboard.server import serve
    from study.cli.say import note
    from study.storage.find import left_out, storage_url

    with exiting():
        say = partial(print, flush=True)
        if arguments.storage and Path(arguments.storage).is_dir():
            from study.dream.dashboard.serve import serve_experiments
            from study.dream.schedule.options import read_options

            options_of_runner = read_options(Path(arguments.storage))
            serve_experiments(options_of_runner, arguments.port, say, arguments.host)
        else:
            url = storage_url(arguments.storage)
            if not arguments.storage:
                note(left_out())
            serve(url, arguments.port, say, arguments.host)
