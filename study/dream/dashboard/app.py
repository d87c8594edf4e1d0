"""Dashboards of several storages answer as one: studies are numbered anew, and none is twice."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

STRIDE = 100_000  # studies of one storage
OF_STUDY = re.compile(r"(/api/studies|/api/artifacts|/artifacts|/csv)/(\d+)(/.*)?")
ALL_STUDIES = "/api/studies"
OF_TRIAL = re.compile(r"/api/trials/.*")  # it names no study, so nobody knows whose it is


def number_of(position: int, study_id: int) -> int:
    """Return the number of a study among all.

    >>> number_of(2, 5)
    200005
    """
    return position * STRIDE + study_id


class JoinedApp:
    """Several dashboards answer as one.

    Args:
        inner: The dashboards by their positions, from 0; more may come while it serves.
        front: Returns the page that comes first, as HTML.
    """

    def __init__(
        self, inner: Callable[[], Mapping[int, WSGIApplication]], front: Callable[[], str]
    ) -> None:
        self._inner, self._front = inner, front

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        path, method = environ.get("PATH_INFO", ""), environ.get("REQUEST_METHOD", "GET")
        inner = self._inner()
        if path in ("", "/") or not inner:  # no experiment has a study yet
            return _page(self._front(), start_response)
        if path == ALL_STUDIES and method == "GET":
            return self._all_studies(inner, environ, start_response)
        if path == ALL_STUDIES or OF_TRIAL.fullmatch(path):
            return _refused(HTTPStatus.METHOD_NOT_ALLOWED, start_response)
        if (match := OF_STUDY.fullmatch(path)) is not None:
            position, study_id = divmod(int(match[2]), STRIDE)
            if position not in inner:
                return _refused(HTTPStatus.NOT_FOUND, start_response)
            there = {**environ, "PATH_INFO": f"{match[1]}/{study_id}{match[3] or ''}"}
            return _renumbered(inner[position], position, there, start_response)
        return next(iter(inner.values()))(environ, start_response)

    def _all_studies(
        self,
        inner: Mapping[int, WSGIApplication],
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        summaries: list[Any] = []
        for position, app in inner.items():
            answer = _Answer(app, {**environ})
            if answer.is_json:
                summaries += _with_numbers(json.loads(answer.body), position)["study_summaries"]
        body = json.dumps({"study_summaries": summaries}).encode()
        start_response("200 OK", _headers("application/json", body))
        return [body]


class _Answer:
    """An answer is that of an app, taken whole."""

    def __init__(self, app: WSGIApplication, environ: WSGIEnvironment) -> None:
        self.status, self.headers = "", list[tuple[str, str]]()
        chunks: list[bytes] = []

        def start(status: str, headers: list[tuple[str, str]], _: Any = None) -> Any:
            self.status, self.headers = status, headers
            return chunks.append

        parts = app(environ, start)
        try:
            chunks += parts
        finally:
            if hasattr(parts, "close"):
                parts.close()
        self.body = b"".join(chunks)

    @property
    def is_json(self) -> bool:
        """Say whether it went well and is JSON."""
        kinds = [v for k, v in self.headers if k.lower() == "content-type"]
        return self.status.startswith("2") and any("json" in kind for kind in kinds)


def _renumbered(
    app: WSGIApplication, position: int, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    answer = _Answer(app, environ)
    body, headers = answer.body, answer.headers
    if answer.is_json and body:
        body = json.dumps(_with_numbers(json.loads(body), position)).encode()
        headers = [(k, v) for k, v in headers if k.lower() != "content-length"]
        headers.append(("Content-Length", str(len(body))))
    start_response(answer.status, headers)
    return [body]


def _with_numbers(data: Any, position: int) -> Any:
    """Return an answer with every `study_id` as that of all studies."""
    match data:
        case dict():
            return {
                k: number_of(position, v)
                if k == "study_id" and isinstance(v, int)
                else _with_numbers(v, position)
                for k, v in data.items()
            }
        case list():
            return [_with_numbers(v, position) for v in data]
    return data


def _page(text: str, start_response: StartResponse) -> Iterable[bytes]:
    body = text.encode()
    start_response("200 OK", _headers("text/html; charset=utf-8", body))
    return [body]


def _refused(status: HTTPStatus, start_response: StartResponse) -> Iterable[bytes]:
    body = json.dumps({"reason": status.phrase}).encode()
    start_response(f"{status.value} {status.phrase}", _headers("application/json", body))
    return [body]


def _headers(kind: str, body: bytes) -> list[tuple[str, str]]:
    return [("Content-Type", kind), ("Content-Length", str(len(body)))]
