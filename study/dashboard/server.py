"""This module serves optuna-dashboard, the answer before it, and our notes and constraints."""

from __future__ import annotations

import copy
import logging
import re
import secrets
import socket
from collections.abc import Callable, Container, Iterable, Mapping
from pathlib import Path
from socketserver import ThreadingMixIn
from threading import Lock
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState
from optuna_dashboard import wsgi  # type: ignore[import-untyped]

from objectives import waiting
from objectives.errors import BadInput, SetupError
from objectives.measurement import Measurement
from objectives.plain_data.by_type import ODD_DATA
from study.dashboard.doorkeeper import LOOPBACK, Doorkeeper
from study.dashboard.front import FrontApp
from study.report.summary import CONFIRMED_IN
from study.storage.artifacts import SeveralFolders
from study.storage.backends.patient import PatientStorage
from study.storage.find import folder_of, names, promotions_of, refuse_without_studies
from study.storage.trial import DOMINATED
from study.storage.url import open_storage

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


HOST = "127.0.0.1"
BRIEF = 60  # characters
# optuna-dashboard 0.21 looks for constraints here; Optuna 5 keeps each under a name
OLD_KEY = "constraints"


class DashboardStorage(PatientStorage):
    """The storage shows constraints where the dashboard looks, and our answer as the best trial."""

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        return [_with_constraints(t) for t in super().get_all_trials(study_id, deepcopy, states)]

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        answer = self.get_study_user_attrs(study_id).get("answer")
        if answer is None:
            return _with_constraints(super().get_best_trial(study_id))
        return next(t for t in self.get_all_trials(study_id, deepcopy=False) if t.number == answer)

    def get_all_studies(self) -> list[Any]:
        studies = super().get_all_studies()
        for study in studies:
            study.user_attrs = _brief(study.user_attrs)
        return studies


def _brief(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is written for machines: a page grows as wide as its longest line."""
    return {k: v for k, v in attributes.items() if len(str(v)) <= BRIEF}


def _with_constraints(trial: FrozenTrial) -> FrozenTrial:
    """Copy a trial with its constraints under the old key, its figures, and no long attributes."""
    duplicate = copy.copy(trial)
    duplicate.system_attrs = {**trial.system_attrs, OLD_KEY: list(trial.constraints.values())}
    duplicate.user_attrs = _brief({**trial.user_attrs, **_figures(trial)})
    if trial.state is TrialState.PRUNED and trial.user_attrs.get("pruned") != DOMINATED:
        # it does not work: its 0 is no measurement, and no curve
        duplicate.values, duplicate.intermediate_values = None, {}
    return duplicate


def _figures(trial: FrozenTrial) -> dict[str, Any]:
    """Return every figure of a complete trial by its flat name, as the page shows it."""
    try:
        measured = Measurement.from_json(trial.user_attrs["measurement"])
    except ODD_DATA:  # there is none, or `annotate` tells what is wrong
        return {}
    return {name: value for name, value in measured.flat().items() if value is not None}


class AnnotatingApp:
    """The dashboard writes the notes and plots of what has ended before it shows a study.

    Who looks at the answer alone waits for none of them.

    Args:
        inner: Optuna-dashboard.
        storage: Where the studies are.
        url: The URL of that storage, beside which the files of a study may lie.
        tell: It is called with a sentence where a study cannot be read.
    """

    def __init__(
        self,
        inner: WSGIApplication,
        storage: BaseStorage,
        url: str,
        tell: Callable[[str], None],
    ) -> None:
        self._inner, self._storage, self._url = inner, storage, url
        self._tell, self._lock = tell, Lock()
        self._states: dict[str, object] = {}  # of each study when it was annotated

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if re.fullmatch(r"/api/studies(/\d+)?", environ.get("PATH_INFO", "")):
            with self._lock:
                self.refresh()
        return self._inner(environ, start_response)

    def refresh(self) -> None:
        """Annotate every study of ours that has changed: a trial ended, or it was confirmed."""
        for name in names(self._storage):
            study = optuna.load_study(study_name=name, storage=self._storage)
            promotions = promotions_of(self._url, study)
            sealed = [_written_at(p) for f in promotions for p in sorted(f.glob("*.yaml"))]
            beside = study.user_attrs.get(CONFIRMED_IN, "")  # None once it was looked for
            count = sum(t.state.is_finished() for t in study.get_trials(deepcopy=False))
            is_path = isinstance(beside, str) and beside
            state = count, sealed, _written_at(Path(beside)) if is_path else beside
            if self._states.get(name) == state:
                continue
            from study.dashboard.annotate import annotate  # noqa: PLC0415  plotly

            try:
                annotate(study, promotions)
            except BadInput as error:  # one study that cannot be read does not hide the others
                self._tell(f"without notes and plots: {error}")
            self._states[name] = state


def _written_at(path: Path) -> tuple[Path, int | None]:
    """Return a file and when it was written, in ns; None where it is not there."""
    try:
        return path, path.stat().st_mtime_ns
    except OSError:
        return path, None


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def service_actions(self) -> None:
        """Look twice a second whether a signal asked for the end."""
        waiting.check()


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        logging.getLogger("study.dashboard.server").debug(format, *args)


def serve(url: str, port: int, tell: Callable[[str], None], host: str = HOST) -> None:
    """Serve until Ctrl-C: on the loopback interface, or at another address with a token.

    Raises:
        BadInput: The storage cannot be opened or holds no study of ours, or the address is none.
        SetupError: The port is taken, or the address is not this machine's.
    """
    listen(dashboard_of(url, tell), port, tell, host)


def dashboard_of(url: str, tell: Callable[[str], None]) -> WSGIApplication:
    """Return the dashboard of a storage.

    Raises:
        BadInput: The storage cannot be opened or holds no study of ours.
    """
    storage = open_storage(url)
    refuse_without_studies(url, storage)
    studies = [optuna.load_study(study_name=n, storage=storage) for n in names(storage)]
    for study in studies:
        study.get_trials(deepcopy=False)  # tables that cannot be read are told now
    folders = dict.fromkeys([folder_of(url), *(folder_of(url, study) for study in studies)])
    dashboard = wsgi(DashboardStorage(url), artifact_store=SeveralFolders([*folders]))
    return FrontApp(AnnotatingApp(dashboard, storage, url, tell), storage, url)


def listen(app: WSGIApplication, port: int, tell: Callable[[str], None], host: str = HOST) -> None:
    """Serve an app until Ctrl-C: on the loopback interface, or at another address with a token.

    Raises:
        BadInput: The address is none.
        SetupError: The port is taken, or the address is not this machine's.
    """
    if host in ("", "0.0.0.0", "::"):  # noqa: S104  they are refused
        raise BadInput("--host names the one address by which others reach this machine")
    token = None if host in LOOPBACK else secrets.token_urlsafe(24)
    doorkeeper = Doorkeeper(app, host, token)
    try:
        server = make_server(host, port, doorkeeper, server_class=_Server, handler_class=_Quiet)
    except (OSError, UnicodeError) as error:
        raise SetupError(
            f"port {port} of {host} cannot be used ({getattr(error, 'strerror', error)}); "
            f"name another, such as --port {port + 1}"
        ) from error
    with server:
        at = f"{host}:{server.server_port}"
        if token is None:
            tell(f"http://{at}/  the answer, and from it every trial  (Ctrl-C ends it)")
            tell(f"from another machine: ssh -L {server.server_port}:{at} {socket.gethostname()}")
        else:
            tell(f"http://{at}/?token={token}  (Ctrl-C ends it; whoever has this address may come)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            tell("closed")
