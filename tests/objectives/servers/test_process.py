"""A server is ready, dies, is late or deaf; nothing is left of it, whoever is killed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_servers.odd_servers import ANSWERS, always, listening
from processes.forked import Forked

from objectives.apis.short_requests import Refused
from objectives.engines.command import Command
from objectives.engines.vllm.llm import Vllm
from objectives.errors import ServerDied, StartTimeout
from objectives.servers import process as module
from objectives.servers.process import marked, reap_left_behind, serving
from objectives.servers.supervision import bounded_log, supervisor
from objectives.services import LlmService

pytestmark = pytest.mark.usefixtures("real_servers")
REPOSITORY = Path(__file__).resolve().parents[3]
GONE_S = 10
STUDY = """
import sys, time
from pathlib import Path
from objectives.engines.command import Command
from objectives.servers import process
from objectives.servers.process import serving
from objectives.servers.supervision.guard import Guard
if kind := sys.argv.pop(2):
    process.guard = lambda: Guard[kind]
log = Path(sys.argv[1]) / "llm.log"
command = Command(tuple(sys.argv[2:]), {}, 30)
def ready(url, within_s):
    text = log.read_text()
    return "grandchild" in text and "complete." in text
with serving("llm", command, log=log, ready=ready):
    print("ready", flush=True)
    time.sleep(3600)
"""


def mark_of(folder):
    [record] = folder.glob("*.running.json")
    return json.loads(record.read_text())["mark"]


def are_gone(mark):
    deadline = time.monotonic() + GONE_S
    while marked(mark) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not marked(mark)


def says(log, *words):
    return lambda *_: all(word in log.read_text() for word in words)


def main_process(mark):
    """Return the server's own process: it leads a session, as its supervisor does."""
    leaders = [pid for pid in marked(mark) if os.getsid(pid) == pid]
    [pid] = [pid for pid in leaders if parent(pid) in leaders]
    return pid


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.fixture
def study(request, tmp_path, fake_command):
    """Start a study process whose server has left a deaf grandchild in a session of its own."""
    command = fake_command("leaves-child").argv
    kind = getattr(request, "param", "")  # of the guard; empty: what this machine permits
    argv = [sys.executable, "-c", STUDY, str(tmp_path), kind, *command]
    with Forked(argv, cwd=REPOSITORY, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


def test_a_ready_server_runs_until_the_block_ends(tmp_path, fake_command):
    log = tmp_path / "deep/llm.log"
    with serving("llm", fake_command(), log=log, ready=says(log, "complete.")) as server:
        mark = mark_of(log.parent)
        assert server.alive
        assert server.exit_code is None
        assert len(marked(mark)) == 2  # its supervisor and itself
    assert not server.alive
    assert server.exit_code == -signal.SIGTERM
    assert marked(mark) == []
    assert sorted(p.name for p in log.parent.iterdir()) == ["llm.exit", "llm.log"]


def test_a_command_finds_its_port_and_environment(tmp_path, fake_command):
    log = tmp_path / "a.log"
    with serving(
        "a", fake_command("well", "--label", "x"), log=log, ready=says(log, "complete.")
    ) as server:
        process = Path(f"/proc/{main_process(mark_of(tmp_path))}")
        port = server.url.removeprefix("http://127.0.0.1:")
        assert f"\0--port\0{port}\0" in (process / "cmdline").read_text()
        # else setproctitle, which vLLM's engine uses, would write over the mark in the environment
        assert "\0SPT_NOENV=1\0" in (process / "environ").read_text()


def test_a_server_that_dies_at_the_start_tells_its_exit_code_and_log(tmp_path, fake_command):
    log = tmp_path / "llm.log"
    with (
        pytest.raises(ServerDied, match="exit code 1") as died,
        serving("llm", fake_command("oom-at-start"), log=log, ready=lambda *_: False),
    ):
        pytest.fail("it is not ready")
    assert died.value.server_exit_code == 1
    assert "less than desired GPU memory utilization" in died.value.log.read_text()
    assert not list(tmp_path.glob("*.running.json"))


def test_a_command_that_does_not_exist_is_a_death_with_the_reason(tmp_path):
    command = Command(("/no/such/server",), {}, 30.0)
    with (
        pytest.raises(ServerDied) as died,
        serving("x", command, log=tmp_path / "x.log", ready=lambda *_: False),
    ):
        pytest.fail("it is not ready")
    assert died.value.server_exit_code == 127
    assert died.value.log.read_text() == "cannot start /no/such/server: No such file or directory\n"


def test_a_server_that_is_late_is_ended(tmp_path, fake_command):
    log, marks = tmp_path / "llm.log", []

    def noted(url, within_s):
        marks.append(mark_of(tmp_path))
        return False

    with (
        pytest.raises(StartTimeout, match=r"not ready within 0\.5 s"),
        serving(
            "llm",
            fake_command(start_timeout_s=0.5),
            log=log,
            ready=noted,
        ),
    ):
        pytest.fail("it is not ready")
    assert marks
    assert marked(marks[0]) == []


def test_a_healthy_server_that_refuses_what_it_is_asked_is_late_for_that_reason(
    tmp_path, fake_command
):
    """Such as a model without a chat template: its log says nothing of it."""

    def ready(url, within_s):
        raise Refused("HTTP 400: no chat template")

    with (
        pytest.raises(StartTimeout, match=r"healthy: it refuses .* \(HTTP 400: no chat template\)"),
        serving("a", fake_command(start_timeout_s=0.2), log=tmp_path / "a.log", ready=ready),
    ):
        pytest.fail("it is not ready")


def test_a_page_that_drips_holds_no_start(tmp_path, fake_command):
    ends_s, engine = [], Vllm(LlmService(command="any"))

    def ready(url, within_s):
        assert not engine.is_ready(urls["drips"], within_s)
        ends_s.append(time.monotonic())
        return False

    with listening({"drips": always(ANSWERS["drips a head"])}) as urls:
        begin_s = time.monotonic()
        with (
            pytest.raises(StartTimeout),
            serving("a", fake_command(start_timeout_s=1), log=tmp_path / "a.log", ready=ready),
        ):
            pytest.fail("it is not ready")
    assert ends_s[-1] - begin_s < 3


def test_a_server_that_is_ready_too_late_is_ended(tmp_path, fake_command):
    def ready(url, within_s):
        time.sleep(within_s + 0.05)
        return True

    with (
        pytest.raises(StartTimeout),
        serving("a", fake_command(start_timeout_s=0.2), log=tmp_path / "a.log", ready=ready),
    ):
        pytest.fail("it is ready too late")


def test_an_error_in_the_block_stops_the_server(tmp_path, fake_command):
    log = tmp_path / "llm.log"
    with (
        pytest.raises(KeyboardInterrupt),
        serving("llm", fake_command(), log=log, ready=says(log, "complete.")),
    ):
        mark = mark_of(tmp_path)
        raise KeyboardInterrupt
    assert marked(mark) == []


def test_a_server_that_ignores_sigterm_is_killed(tmp_path, fake_command, monkeypatch):
    monkeypatch.setattr(module, "STOP_GRACE_S", 0.5)
    log = tmp_path / "llm.log"
    with serving(
        "llm", fake_command("ignores-sigterm"), log=log, ready=says(log, "complete.")
    ) as server:
        mark = mark_of(tmp_path)
    assert server.exit_code == -signal.SIGKILL
    assert marked(mark) == []


def test_a_deaf_grandchild_in_its_own_session_ends_with_the_block(tmp_path, fake_command):
    log = tmp_path / "llm.log"
    with serving(
        "llm", fake_command("leaves-child"), log=log, ready=says(log, "complete.", "grandchild")
    ):
        mark = mark_of(tmp_path)
        assert len(marked(mark)) == 3
    assert marked(mark) == []


# its first thread has ended, as the first of many that are being killed has: it is a zombie whose
# other threads run, and below which its child still is
HEADLESS = """
import ctypes, signal, subprocess, sys, threading, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
subprocess.Popen(sleep, start_new_session=True)
threading.Thread(target=time.sleep, args=(600,)).start()
print("complete.", flush=True)
ctypes.CDLL(None).pthread_exit(None)
"""


def test_what_is_below_a_process_whose_first_thread_has_ended_ends_too(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "STOP_GRACE_S", 0.2)
    log = tmp_path / "llm.log"
    command = Command((sys.executable, "-c", HEADLESS), {}, 30)
    with serving("llm", command, log=log, ready=says(log, "complete.")):
        mark = mark_of(tmp_path)
        assert marked(mark)
    assert are_gone(mark)


def test_a_server_whose_supervisor_was_killed_leaves_nothing(tmp_path, fake_command):
    log = tmp_path / "llm.log"
    with serving(
        "llm", fake_command("leaves-child"), log=log, ready=says(log, "complete.", "grandchild")
    ) as server:
        mark = mark_of(tmp_path)
        os.kill(server.pid, signal.SIGKILL)
        deadline = time.monotonic() + GONE_S
        while server.alive and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.exit_code == -signal.SIGKILL
    assert marked(mark) == []


@pytest.mark.parametrize("victims", ["study", "study and server"])
def test_a_killed_study_leaves_no_server(study, tmp_path, victims):
    mark = mark_of(tmp_path)
    assert len(marked(mark)) == 3
    pids = [study.pid] + ([main_process(mark)] if "server" in victims else [])
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert are_gone(mark)
    assert reap_left_behind(tmp_path) == []


@pytest.mark.parametrize("study", ["NONE"], indirect=True)
def test_what_outlives_study_and_supervisor_is_reaped_by_the_next_run(study, tmp_path):
    mark = mark_of(tmp_path)
    [supervisor] = {parent(main_process(mark))}
    for pid in (supervisor, study.pid):
        os.kill(pid, signal.SIGKILL)
    study.wait()
    deadline = time.monotonic() + GONE_S
    while len(marked(mark)) > 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    [left] = marked(mark)  # the grandchild: no pipe, no parent, and it ignores SIGTERM
    assert reap_left_behind(tmp_path) == [
        f"ended a server left behind by an earlier run (process {left}, llm.running.json)"
    ]
    assert are_gone(mark)
    assert reap_left_behind(tmp_path) == []


def test_a_torn_record_is_no_server(tmp_path):
    (tmp_path / "llm.running.json").write_text('{"mark": ')
    assert reap_left_behind(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_one_look_that_finds_nobody_does_not_end_the_killing(monkeypatch):
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as orphan:
        looks = iter([[], [], [orphan.pid]])
        monkeypatch.setattr(supervisor, "descendants", lambda _: next(looks, []))
        monkeypatch.setattr(supervisor, "reap", dict)
        supervisor.kill_all(5.0)
        assert orphan.wait(5) == -signal.SIGKILL


CHATTY = """
import sys
print("first", flush=True)
for n in range(200):
    sys.stdout.write(f"line {n:05} " + "x" * 100_000 + chr(10))
print("CUDA out of memory. last", flush=True)
sys.exit(7)
"""


def test_what_a_server_says_without_end_is_cut_in_the_middle_of_its_log(tmp_path):
    log = tmp_path / "llm.log"
    command = Command((sys.executable, "-c", CHATTY), {}, 60)
    with (
        pytest.raises(ServerDied, match="exit code 7"),
        serving("llm", command, log=log, ready=lambda *_: False),
    ):
        pytest.fail("it is not ready")
    text = log.read_text()
    assert len(text) < 4 * bounded_log.TAIL_BYTES
    assert text.startswith("first\nline 00000 ")
    assert text.endswith("\nCUDA out of memory. last\n")
    [left_out] = re.findall(r"\[(\d+) bytes of this log are left out here\]", text)
    kept_length = sum(len(line) + 1 for line in text.splitlines() if not line.startswith("[")) - 1
    assert int(left_out) + kept_length == len("first\n") + 200 * 100_012 + len(
        "CUDA out of memory. last\n"
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == ["llm.exit", "llm.log"]
