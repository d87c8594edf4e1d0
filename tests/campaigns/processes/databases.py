"""PostgreSQL is restarted in the middle of a study; nothing is lost, and nobody is told."""

from __future__ import annotations

import importlib.util
import os
import pwd
import random
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path

import optuna

from study.storage.backends.writes import together
from study.storage.url import open_storage

TRIALS = 120
WAYS = ("fast", "immediate")  # open sessions are ended, or it dies as in a crash
DOWN_S = (0.0, 0.5, 3.0)
LONGEST_S = 30.0  # then it is enough


@cache
def programs() -> Path | None:
    """Return the folder of PostgreSQL's programs; None where there are none."""
    path = shutil.which("pg_ctl") or next(
        iter(sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")))), None
    )
    return Path(path).resolve().parent if path else None


def lack() -> str | None:
    """Return what keeps this campaign from this machine; None: nothing."""
    if programs() is None:
        return "no PostgreSQL is installed"
    if importlib.util.find_spec("psycopg") is None:
        return "python -m pip install 'psycopg[binary]'"
    if os.geteuid() == 0 and "postgres" not in [user.pw_name for user in pwd.getpwall()]:
        return "root cannot run PostgreSQL, and there is no user postgres"
    return None


def attack(rng: random.Random) -> None:
    """Ask and tell trials while the server is restarted at random moments.

    Raises:
        AssertionError: A trial or what was told of it is missing.
        Exception: Whatever asking and telling raises.
    """
    with tempfile.TemporaryDirectory(dir="/tmp") as name, _server(Path(name)) as server:
        url = f"postgresql+psycopg://postgres@127.0.0.1:{server.port}/postgres"
        study = optuna.create_study(
            storage=open_storage(url), sampler=optuna.samplers.RandomSampler(seed=1)
        )
        is_over = threading.Event()

        def asked() -> optuna.Trial:
            trial = study.ask()
            x = trial.suggest_float("x", 0.0, 1.0)
            trial.set_user_attr("allocation", {"x": x})
            return trial

        def restart() -> None:
            while not is_over.wait(rng.uniform(0.1, 1.5)):
                server.stop(rng.choice(WAYS))
                time.sleep(rng.choice(DOWN_S))
                server.start()

        restarter = threading.Thread(target=restart)
        restarter.start()
        began_s, results = time.monotonic(), {}
        try:
            while len(results) < TRIALS and time.monotonic() < began_s + LONGEST_S:
                trial = together(study, asked)
                x = trial.params["x"]
                together(study, partial(study.tell, trial, x))
                results[trial.number] = x
        finally:
            is_over.set()
            restarter.join()
        stored = optuna.load_study(study_name=study.study_name, storage=open_storage(url)).trials
        values = {t.number: t.value for t in stored if t.state.is_finished()}
        assert values == results, (len(results), len(values))
        assert all(t.user_attrs["allocation"] == t.params for t in stored if t.value is not None)
        assert server.restarts, "it was over before the first restart"


class _Server:
    """A PostgreSQL of its own in a folder; it does not run as root."""

    def __init__(self, folder: Path) -> None:
        self.data, self.restarts = folder / "data", 0
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
        self._run("initdb", "-D", str(self.data), "-A", "trust", "-U", "postgres", "--no-sync")
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self.port} -h 127.0.0.1 -k {self.data}"
        log = str(self.data / "log")
        self._run("pg_ctl", "-D", str(self.data), "-w", "-o", options, "-l", log, "start")

    def stop(self, way: str) -> None:
        """Stop it in one of the ways of `pg_ctl`."""
        self._run("pg_ctl", "-D", str(self.data), "-w", "-m", way, "stop")
        self.restarts += 1

    def _run(self, program: str, *words: str) -> None:
        user = {"user": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        line = [str((programs() or Path()) / program), *words]
        subprocess.run(  # type: ignore[call-overload]
            line, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd="/", **user
        )


@contextmanager
def _server(folder: Path) -> Iterator[_Server]:
    server = _Server(folder)
    try:
        yield server
    finally:
        server.stop("immediate")
