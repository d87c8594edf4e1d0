"""A study behind a real gRPC proxy: its answer, a proxy that restarts, one that is gone."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import optuna
import pytest
from fake_servers.fake_http import free_port
from optuna.exceptions import StorageInternalError
from processes.commands import process, run_study

from objectives.errors import BadInput
from study.storage.backends import proxy
from study.storage.url import open_storage

SERVERS = """
import os, signal, sys, optuna
import optuna.storages._grpc.server
optuna.logging.set_verbosity(optuna.logging.ERROR)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a proxy
for line in sys.stdin:
    database, port = line.split()
    if pid := os.fork():
        print(pid, flush=True)
    else:
        storage = optuna.storages.RDBStorage(database)
        optuna.storages.run_grpc_proxy_server(storage, host="127.0.0.1", port=int(port))
"""


def connects(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def lives(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def servers():
    """Return a process that forks a proxy for each line `DATABASE PORT`, and says its number."""
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SERVERS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def served(tmp_path, servers):
    """Return the database, its proxy's port, and what runs a proxy there."""
    port, database = free_port(), f"sqlite:///{tmp_path}/behind.db"

    @contextmanager
    def running():
        print(database, port, file=servers.stdin, flush=True)
        server = int(servers.stdout.readline())
        deadline = time.monotonic() + 60
        try:
            while not connects(port):
                assert lives(server) and time.monotonic() < deadline
                time.sleep(0.05)
            yield
        finally:
            os.kill(server, signal.SIGKILL)
            while lives(server):
                assert time.monotonic() < deadline
                time.sleep(0.01)

    return database, port, running


def test_a_study_gives_the_answer_that_it_gives_without_a_proxy(served, tmp_path):
    database, port, running = served
    alone = run_study("--n-trials", 9, "--out", tmp_path / "alone")
    with running():
        address = ("--storage", f"grpc://127.0.0.1:{port}", "--out", tmp_path / "behind")
        ran = process("run_study.py", "--n-trials", 9, *address)
    assert (ran.returncode, ran.stderr) == (0, "")
    own = next((tmp_path / "alone").rglob("study.db"))
    behind, without = (
        optuna.load_study(study_name=None, storage=url) for url in (database, f"sqlite:///{own}")
    )
    assert [(t.params, t.state, t.values) for t in behind.trials] == [
        (t.params, t.state, t.values) for t in without.trials
    ]
    assert alone.returncode == 0 and len(behind.trials) > 5


def test_a_proxy_that_restarts_is_waited_for(served):
    _, port, running = served
    with running():
        storage = open_storage(f"grpc://127.0.0.1:{port}")
        study = optuna.create_study(storage=storage, study_name="mine")
        trial = study.ask({"x": optuna.distributions.FloatDistribution(0, 1)})
    with running():
        study.tell(trial, 1.0)
        assert [t.value for t in study.trials] == [1.0]
        storage.close()


def test_a_proxy_that_stays_away_is_named_in_one_line(served, monkeypatch):
    _, port, running = served
    monkeypatch.setitem(proxy.POLICY, "timeout", "1s")
    with running():
        storage = open_storage(f"grpc://127.0.0.1:{port}")
    with pytest.raises(StorageInternalError, match=f"the storage grpc://127.0.0.1:{port} failed"):
        storage.get_all_studies()
    storage.close()


def test_what_names_no_proxy_that_runs_is_refused(served, monkeypatch):
    _, port, _ = served
    monkeypatch.setattr(proxy, "OPENED_S", 0.5)
    with pytest.raises(BadInput, match=f"no gRPC proxy answers at 127.0.0.1:{port}; start"):
        open_storage(f"grpc://127.0.0.1:{port}")
    for url in (
        "grpc://user:secret@host:13000",
        "grpc://host:13000/name",
        "grpc://host:no",
        "grpc://host:0",
    ):
        with pytest.raises(BadInput, match="is named by host and port") as caught:
            open_storage(url)
        assert "secret" not in str(caught.value)


def test_without_its_packages_it_says_which(monkeypatch):
    monkeypatch.delitem(sys.modules, "study.storage.backends.proxy", raising=False)
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(BadInput, match=r"needs packages: .*\[grpc\]"):
        open_storage("grpc://127.0.0.1:13000")
