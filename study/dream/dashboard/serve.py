"""This module serves the page of all experiments, and the dashboard of every study of theirs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from objectives.errors import BadInput
from study.dashboard.server import HOST, dashboard_of, listen
from study.dream.dashboard.app import JoinedApp, number_of
from study.dream.experiments.file import read_dream_file
from study.dream.rotation.standing import look
from study.dream.rotation.status import status_page
from study.dream.schedule.options import DEFAULT_ROOT, RunnerOptions
from study.storage.url import open_storage, sqlite_url

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


def serve_experiments(
    options: RunnerOptions, port: int, tell: Callable[[str], None], host: str = HOST
) -> None:
    """Serve until Ctrl-C; the runner need not run.

    Raises:
        BadInput: The D-REAM file is wrong, or the address is none.
        SetupError: The port is taken, or the address is not this machine's.
    """
    experiments = Experiments(options, tell)
    experiments.front()  # what is wrong is said now
    listen(JoinedApp(experiments.dashboards, experiments.front), port, tell, host)


class Experiments:
    """These are the experiments of a runner, as they are when somebody looks.

    Args:
        options: Those of the runner.
        tell: It is called with a sentence where a study cannot be read.
    """

    def __init__(self, options: RunnerOptions, tell: Callable[[str], None]) -> None:
        self._options, self._tell, self._lock = options, tell, Lock()
        self._apps: dict[str, WSGIApplication] = {}  # by the name of the experiment's files

    @property
    def _root(self) -> Path:
        if self._options.root is not None:
            return self._options.root
        return read_dream_file(self._options.config).artifact_root or DEFAULT_ROOT

    def dashboards(self) -> dict[int, WSGIApplication]:
        """Return the dashboard of each experiment that has a study, by a lasting position."""
        with self._lock:
            for file in sorted(self._root.glob("*/study.db")):
                if file.parent.name in self._apps:
                    continue
                try:
                    self._apps[file.parent.name] = dashboard_of(sqlite_url(file), self._tell)
                except BadInput:
                    continue  # it is being made
            return dict(enumerate(self._apps.values()))

    def front(self) -> str:
        """Return the page of all experiments; the name of each leads to its newest study.

        Raises:
            BadInput: The D-REAM file is wrong.
        """
        rows, state, is_alive = look(self._options)
        self.dashboards()
        positions = {slug: position for position, slug in enumerate(self._apps)}
        links = {
            row.name: f"/dashboard/studies/{self._newest(row.slug, positions[row.slug])}"
            for row in rows
            if row.slug in positions
        }
        return status_page(rows, state.cycle, is_alive=is_alive, links=links)

    def _newest(self, slug: str, position: int) -> int:
        storage = open_storage(sqlite_url(self._root / slug / "study.db"))
        return number_of(position, max(s._study_id for s in storage.get_all_studies()))
