"""The first page tells of a study that runs how far it is, and invents no answer."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import optuna
import pytest
from made.studies import Shared, copied

from study.dashboard.front import FrontApp
from study.storage.context import CONTEXT_ATTRIBUTE
from study.storage.find import study_in
from study.storage.url import open_storage


@pytest.fixture
def url(shared: Shared, tmp_path: Path) -> str:
    folder = copied(shared.pictured(), tmp_path / "copy")
    return f"sqlite:///{folder}/out/made/study.db"


def answer(url: str, path: str, method: str = "GET") -> tuple[str, str]:
    """Return the status and the body; what is not the front's own says "inner"."""
    statuses: list[str] = []

    def inner(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        start("200 OK", [])
        return [b"inner"]

    app = FrontApp(inner, open_storage(url), url)
    environ = {"PATH_INFO": path, "REQUEST_METHOD": method}
    body = b"".join(app(environ, lambda status, _: statuses.append(status)))  # type: ignore[arg-type, return-value]
    return statuses[0], body.decode()


def test_an_ended_study_has_its_answer_and_a_link_to_every_trial(url: str) -> None:
    status, page = answer(url, "/")
    assert status == "200 OK" and 'href="/dashboard/studies/1"' in page
    assert "The best candidate is 55 %" in page and "may change" not in page
    assert "refresh" not in page
    assert answer(url, "/", "HEAD") == ("200 OK", "")


@pytest.mark.parametrize("path", ["/dashboard", "/api/studies", "/answer/", "/answer/1/2"])
def test_all_else_is_optuna_dashboards(url: str, path: str) -> None:
    assert answer(url, path)[1] == "inner"


def test_a_study_that_runs_says_that_its_answer_may_change(url: str) -> None:
    study = study_in(url)
    ended = len(study.trials)
    study.sampler = optuna.samplers.RandomSampler()
    study.ask()
    _, page = answer(url, "/")
    assert f"{ended} trials have ended, and what stands here may change" in page
    assert 'http-equiv="refresh"' in page


def test_before_the_first_trial_ends_there_is_no_answer_yet(url: str) -> None:
    context = study_in(url).user_attrs[CONTEXT_ATTRIBUTE]
    empty = optuna.create_study(study_name="empty", storage=url)
    empty.set_user_attr(CONTEXT_ATTRIBUTE, context)
    empty.ask()
    _, page = answer(url, "/")
    assert "No answer yet: nothing has been launched to its end." in page
    assert 'href="/answer/1"' in page and "0 trials have ended" in page
