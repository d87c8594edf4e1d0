"""The first page of the dashboard is the answer; from it a link leads to every trial."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from optuna import Study
from optuna.storages import BaseStorage
from optuna.trial import TrialState

from objectives.errors import BadInput
from study.report.html import html
from study.report.summary import summary
from study.storage.find import names, study_in

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ANSWER = re.compile(r"/(?:answer/(\d{1,9}))?")


class FrontApp:
    """`/` is the report of the newest study, `/answer/3` that of the third; else optuna-dashboard.

    Args:
        inner: Optuna-dashboard.
        storage: Where the studies are.
        url: Its URL.
        promotions: Folders where confirmations may lie.
    """

    def __init__(
        self, inner: WSGIApplication, storage: BaseStorage, url: str, promotions: Sequence[Path]
    ) -> None:
        self._inner, self._storage, self._url = inner, storage, url
        self._promotions = promotions

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        match = ANSWER.fullmatch(environ.get("PATH_INFO", "") or "/")
        if match is None or environ.get("REQUEST_METHOD") not in ("GET", "HEAD"):
            return self._inner(environ, start_response)
        body = self._page(match[1])
        if body is None:  # nothing of this project's own: optuna-dashboard says what there is
            headers = [("Location", "/dashboard"), ("Content-Length", "0")]
            start_response("302 Found", headers)
            return []
        kind = ("Content-Type", "text/html; charset=utf-8")
        start_response("200 OK", [kind, ("Content-Length", str(len(body)))])
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]

    def _page(self, number: str | None) -> bytes | None:
        """Return the report of a study, by its number; None where it can tell none."""
        ids = {n: self._storage.get_study_id_from_name(n) for n in names(self._storage)}
        wanted = [n for n, i in ids.items() if number is None or i == int(number)]
        if not wanted:
            return None
        name = wanted[-1]
        links = [(f"every trial of {name}", f"/dashboard/studies/{ids[name]}")]
        links += [(f"answer of {n}", f"/answer/{i}") for n, i in ids.items() if n != name]
        try:
            study = study_in(self._url, name)
            content = summary(study, promotions=self._promotions)
        except BadInput:
            return None
        return html(content, links, _remark(study)).encode()


def _remark(study: Study) -> str:
    """Say of a study that runs how far it is; nothing of one that does not."""
    states = [t.state for t in study.get_trials(deepcopy=False)]
    if TrialState.RUNNING not in states:
        return ""
    ended = sum(s.is_finished() for s in states)
    return (
        f"The study runs, or was stopped in a trial: {ended} trials have ended, and what stands "
        "here may change."
    )
