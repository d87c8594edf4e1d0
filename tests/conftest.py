"""This module holds the hooks and fixtures of all tests.

Tests of what this machine may lack are skipped with the reason, and in CI (CI=true) fail where it
must be there. The fixtures are a fake server process, a device that is only numbers, and others.
"""

import gc
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack, nullcontext, suppress
from fcntl import LOCK_EX, LOCK_SH, flock
from pathlib import Path

import pytest
from fake_servers.fakes import FAKE
from made.live_factories import Shelf
from made.studies import Shared
from processes.commands import without
from processes.forks import forking, forking_servers
from punctual import be_punctual
from rigs.container_rig import ENGINES
from threadpoolctl import threadpool_limits

from objectives.colocation import live_servers
from objectives.devices.open_device import open_device
from objectives.engines.command import Command
from objectives.errors import SetupError
from objectives.load.generator import Generator
from objectives.load.sending import main as sending
from objectives.rig.install_cpu_servers import VENVS, WHISPERS, is_installed
from objectives.servers import process
from objectives.servers.process import serving
from objectives.servers.retries import IMPATIENT_VARIABLE

SERVERS = Path(__file__).resolve().parents[1] / ".servers"


def pytest_configure():
    """Give each worker one thread, compiled modules, and temporary folders in memory.

    A study commits hundreds of times, and every command of a test would compile us anew.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # workers share the cores
    threadpool_limits(int(os.environ["OMP_NUM_THREADS"]))  # numpy is here by now
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a script began pytest with `&`
        signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.disable()  # until all tests are found, which leaves next to no garbage
    sys.dont_write_bytecode = False  # else each worker would rewrite the assertions anew
    with without("torch"):  # 3 s for each worker, and none of what we need of it
        import ctranslate2.specs  # noqa: F401
    memory = Path("/dev/shm")
    if "PYTEST_DEBUG_TEMPROOT" in os.environ or not os.access(memory, os.W_OK):
        return
    volume = os.statvfs(memory)
    if volume.f_bavail * volume.f_frsize >= 4 * 2**30 and not volume.f_flag & os.ST_NOEXEC:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(memory)


def pytest_collection_modifyitems(items):
    """Put the live tests first, and those that run alone last.

    One worker has the live ones from the beginning, and the others run the rest beside it. Of
    those that run alone each waits until the others are done.
    """
    items.sort(key=lambda item: (not _is(item, "live"), _is(item, "cluster")))


def _is(item, marker):
    return item.get_closest_marker(marker) is not None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    """Among parallel workers, run one live test at a time, and one of a cluster alone.

    Two sets of real servers need more memory than there is, and Ray gives up where it starts
    slowly. A worker has its turn until its next test is no live one, for its servers may run on;
    these go first where they may, for a measurement that others disturb is made again.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return (yield)
    if _is(item, "live") and not _turn:
        _turn.append(_lock("live-tests"))
        flock(_turn[0], LOCK_EX)
        _go_first(-5)
    try:
        with _lock("tests") as lock:
            flock(lock, LOCK_EX if _is(item, "cluster") else LOCK_SH)
            return (yield)
    finally:
        if _turn and not (nextitem and _is(nextitem, "live")):
            _go_first(0)
            _turn.pop().close()


_turn = []  # the file that this worker has locked for its live tests


def _go_first(niceness):
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, niceness)


def _lock(name):
    return (Path(tempfile.gettempdir()) / f"gpu-allocation-{name}.lock").open("w")


def pytest_collection_finish():
    """Keep what was imported out of every search for garbage: it stays until the end."""
    gc.freeze()
    gc.enable()


def pytest_runtest_setup(item):
    if item.get_closest_marker("live") and (missing := missing_servers()):
        reason = f"{missing} is not installed; run: python scripts/install_cpu_servers.py"
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must run the live tests: {reason}", pytrace=False)
        pytest.skip(reason)
    if item.get_closest_marker("gpu") and (missing := missing_gpu()):
        if "ALLOCATION_TEST_GPU" in os.environ:
            pytest.fail(f"ALLOCATION_TEST_GPU: {missing}", pytrace=False)
        pytest.skip(missing)


def missing_servers() -> str | None:
    for name, package in VENVS.items():
        if not is_installed(SERVERS / name, package):
            return package
    models = [
        SERVERS / "models/llm",
        *(SERVERS / "models/whisper" / source.size for source in WHISPERS),
    ]
    return next((str(folder) for folder in models if not folder.is_dir()), None)


def missing_gpu() -> str | None:
    try:
        open_device(os.environ.get("ALLOCATION_TEST_GPU", "cuda"))
    except SetupError as error:
        return str(error)
    return None


@pytest.fixture(scope="session", autouse=True)
def locks(tmp_path_factory):
    """Put the locks of devices into a folder of this worker's own.

    A test must not wait for a study that runs on this machine.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ALLOCATION_STUDY_LOCKS", str(tmp_path_factory.mktemp("locks")))
        yield


@pytest.fixture(scope="session", autouse=True)
def sooner():
    """Look for a server that is ready more often than a study does: a fake one soon is.

    And let what is sent begin sooner.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "READY_LOOK_S", 0.03)
        patch.setattr(sending, "LEAD_S", 0.05)  # of forks
        yield


@pytest.fixture(scope="session", autouse=True)
def punctual():
    """Measure each window once, also where other tests keep the cores busy."""
    with pytest.MonkeyPatch.context() as patch:
        be_punctual(patch)
        yield


@pytest.fixture(scope="session", autouse=True)
def alone():
    """Wait for nobody who keeps the cores busy, here and in what a test starts.

    The other tests do.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(IMPATIENT_VARIABLE, "1")
        yield


@pytest.fixture(scope="session", autouse=True)
def frozen():
    """Let what is frozen stay so, here and in forks: a plan that was sent would thaw it all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "unfreeze", lambda: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def forked_servers():
    """Fork fake servers off this worker, and what supervises them."""
    with pytest.MonkeyPatch.context() as patch:
        forking_servers(patch)
        yield


@pytest.fixture
def real_servers(monkeypatch):
    """Start fake servers and what supervises them as a study does."""
    monkeypatch.setattr(process, "subprocess", subprocess)


@pytest.fixture
def heard():
    """Let a hang-up be a signal like the others, here and in what a test starts.

    Where nohup started pytest, both would ignore it.
    """
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(scope="session")
def generator():
    """Return one load generator for all tests of this worker, a fork of it."""
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            forking(patch)
            generator = stack.enter_context(Generator())
        yield generator


@pytest.fixture
def one_generator(generator, monkeypatch):
    """Let every colocation send by this worker's generator, whose start takes a third of a second.

    tests/objectives/colocation/test_loads.py measures by one of its own, as every live study does.
    """
    monkeypatch.setattr(live_servers, "Generator", lambda _: nullcontext(generator))


@pytest.fixture
def forked(monkeypatch):
    """Fork lanes, load generators and turns off this worker, which has imported what they run."""
    forking(monkeypatch)


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """Return the finished studies to read, of this session and all its workers.

    One that `copied` has copied may be changed.
    """
    own = tmp_path_factory.getbasetemp()
    root = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "studies"
    root.mkdir(exist_ok=True)
    return Shared(root)


@pytest.fixture
def device():
    return Shelf()


@pytest.fixture
def fake_command():
    """Return what makes commands: `fake_command(mood, *options, start_timeout_s=...)`."""

    def make(mood="well", *options, start_timeout_s=30.0):
        argv = (
            sys.executable,
            "-IS",
            str(FAKE),
            "--port",
            "{port}",
            "--mood",
            mood,
            *map(str, options),
        )
        return Command(argv, {}, start_timeout_s)

    return make


@pytest.fixture
def fake(tmp_path, fake_command):
    """Start a fake server for the length of a test: `fake(mood, *options)`."""
    with ExitStack() as stack:

        def start(mood="well", *options):
            log = tmp_path / f"{mood}.log"
            command = fake_command(mood, *options)
            return stack.enter_context(
                serving(mood, command, log=log, ready=lambda *_: "complete." in log.read_text())
            )

        yield start


@pytest.fixture(scope="module", params=ENGINES)
def engine(request):
    """Give docker, then podman."""
    return request.param
