"""A front starts a server when it is asked, stops it when it is idle, and ends as it ends."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import psutil
import pytest
from fake_servers import chaos_server
from fake_servers.chaos_server import KINDS
from fake_servers.fakes import FAKE
from processes.forked import Forked

from objectives.apis.short_requests import NoAnswer, request
from objectives.on_demand import front, woken_server
from objectives.on_demand.listener import PAGE, SPARE, STATE
from objectives.on_demand.sleeping import FrontState, SleepWatch, keep_awake, put_to_sleep, state
from objectives.on_demand.woken_server import OWN_PORT
from objectives.servers.ports import claimed_port

WITHIN_S = 30.0
FRONT = "from objectives.on_demand.front import main; main()"
Begin = Callable[..., tuple[str, subprocess.Popen[bytes]]]


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Start a front as a fork of this process; one with limits is an interpreter."""
    running: list[subprocess.Popen[bytes]] = []

    def begun(
        *words: str,
        idle_s: float = 3600.0,
        start_s: float = 20.0,
        paths: Sequence[str] = (),
        limits: Sequence[str] = (),
    ) -> tuple[str, subprocess.Popen[bytes]]:
        with claimed_port() as port:
            start = subprocess.Popen if limits else Forked
            argv = [*limits, sys.executable, *((front.__file__,) if limits else ("-c", FRONT))]
            argv += ["--port", str(port), "--idle-s", str(idle_s)]
            argv += ["--start-s", str(start_s), *paths, "--", *words]
            running.append(start(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
            url, until_s = f"http://127.0.0.1:{port}", time.monotonic() + WITHIN_S
            while state(url) is None and time.monotonic() < until_s:
                time.sleep(0.05)
        return url, running[-1]

    yield begun
    for process in running:
        process.terminate()
        process.wait(WITHIN_S)
        assert process.stdout is not None
        process.stdout.close()


def fake(*words: str) -> list[str]:
    return [sys.executable, "-IS", str(FAKE), "--port", OWN_PORT, *words]


def health(url: str) -> int:
    return request("GET", f"{url}/health", within_s=WITHIN_S).status


def until_asleep(url: str) -> FrontState | None:
    until_s = time.monotonic() + WITHIN_S
    while (now := state(url)) is not None and now.is_awake and time.monotonic() < until_s:
        time.sleep(0.05)
    return now


def test_it_sleeps_until_it_is_asked_and_again_when_it_is_idle(begin: Begin) -> None:
    url, _ = begin(*fake(), idle_s=0.4)
    assert state(url) == FrontState(is_awake=False, awake_s=0.0, starts_s=())
    assert health(url) == 200
    asleep = until_asleep(url)
    assert asleep is not None and not asleep.is_awake and len(asleep.starts_s) == 1
    assert asleep.awake_s >= 0.4 + asleep.starts_s[0]
    assert health(url) == 200
    assert (now := state(url)) is not None and len(now.starts_s) == 2


def test_callers_that_come_at_once_wake_it_once(begin: Begin) -> None:
    url, _ = begin(*fake("--start-s", "0.5"))
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(health(url))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WITHIN_S)
    assert statuses == [200] * 4
    assert (now := state(url)) is not None and len(now.starts_s) == 1


def test_one_that_sleeps_by_itself_stays_the_same_process(begin: Begin) -> None:
    url, _ = begin(*fake(), paths=("--sleep", "/sleep?level=1", "--wake", "/wake_up"))
    first = request("GET", f"{url}/pid", within_s=WITHIN_S)
    assert (now := put_to_sleep(url)) is not None and not now.is_awake
    assert psutil.pid_exists(int(first.text))
    second = request("GET", f"{url}/pid", within_s=WITHIN_S)  # it would be 500 while it sleeps
    assert (second.status, second.text) == (200, first.text)
    assert (now := state(url)) is not None and now.is_awake and len(now.starts_s) == 2


def test_one_that_does_not_sleep_when_it_is_told_to_is_stopped(begin: Begin) -> None:
    url, process = begin(*fake(), paths=("--sleep", "/nothing", "--wake", "/wake_up"))
    first = request("GET", f"{url}/pid", within_s=WITHIN_S)
    assert (now := put_to_sleep(url)) is not None and not now.is_awake
    second = request("GET", f"{url}/pid", within_s=WITHIN_S)
    assert second.status == 200 and second.text != first.text
    process.terminate()
    out, _ = process.communicate(timeout=WITHIN_S)
    assert b"on demand: /nothing failed; it is stopped" in out


def test_one_that_does_not_wake_ends_it(begin: Begin) -> None:
    url, process = begin(*fake(), paths=("--sleep", "/sleep?level=1", "--wake", "/nothing"))
    health(url)
    put_to_sleep(url)
    with pytest.raises(NoAnswer):
        health(url)
    assert process.wait(WITHIN_S) == 1


def test_who_is_connected_stays_so_while_it_sleeps(begin: Begin) -> None:
    url, _ = begin(*fake())
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=WITHIN_S)
    for starts in (1, 2):
        connection.request("GET", "/health")
        assert connection.getresponse().read() == b""
        assert (now := put_to_sleep(url)) is not None
        assert (now.is_awake, len(now.starts_s)) == (False, starts)
    connection.close()


def test_it_does_not_sleep_while_somebody_waits(begin: Begin) -> None:
    url, _ = begin(*fake("--delay", "0.5"), idle_s=0.2)
    body = {"model": "model", "input": ["hello"]}
    answer = request("POST", f"{url}/v1/embeddings", within_s=WITHIN_S, json=body)
    assert answer.status == 200
    assert (now := state(url)) is not None and len(now.starts_s) == 1


def test_a_stream_that_rests_for_longer_than_it_may_be_idle_comes_whole(begin: Begin) -> None:
    url, _ = begin(*fake("--pause", "0.5"), idle_s=0.2)
    body = {"model": "model", "prompt": "hello", "max_tokens": 2, "ignore_eos": True}
    body |= {"stream": True, "stream_options": {"include_usage": False}}
    answer = request("POST", f"{url}/v1/completions", within_s=WITHIN_S, json=body)
    piece = b'data: {"choices": [{"text": "a"}]}\n\n'
    assert answer.body == piece * 2 + b"data: [DONE]\n\n"
    now = until_asleep(url)
    assert now is not None and (now.is_awake, len(now.starts_s)) == (False, 1)


def test_a_page_is_read_without_waking_it_and_without_keeping_it_awake(begin: Begin) -> None:
    """Else whoever reads its metrics four times a second would never let it sleep."""
    url, _ = begin(*fake(), idle_s=1.0)
    look = f"{url}{PAGE}/metrics"
    asleep = request("GET", look, within_s=WITHIN_S)
    assert (asleep.status, asleep.text) == (503, "")
    assert state(url) == FrontState(is_awake=False, awake_s=0.0, starts_s=())
    assert health(url) == 200
    pages, until_s = list[str](), time.monotonic() + WITHIN_S
    while time.monotonic() < until_s:
        page = request("GET", look, within_s=WITHIN_S)
        if page.status != 200:
            break
        pages.append(page.text)
    assert pages and all("vllm:kv_cache_usage_perc" in page for page in pages)
    assert (page.status, (now := state(url)) and now.is_awake) == (503, False)


def test_a_page_that_the_server_hangs_up_on_is_as_when_it_sleeps(begin: Begin) -> None:
    """As one does that is stopped while it is asked."""
    url, _ = begin(*fake("--mood", "hangs-up"))
    assert health(url) == 200
    page = request("GET", f"{url}{PAGE}/metrics", within_s=WITHIN_S)
    assert (page.status, page.text) == (503, "")


def test_one_that_is_kept_awake_sleeps_when_it_is_told_to(begin: Begin) -> None:
    url, _ = begin(*fake(), idle_s=0.2)
    kept = keep_awake(url)
    assert kept is not None and kept.is_awake and len(kept.starts_s) == 1
    time.sleep(0.6)  # longer than it may be idle
    assert (now := keep_awake(url)) is not None and now.starts_s == kept.starts_s
    assert (now := put_to_sleep(url)) is not None and not now.is_awake
    assert health(url) == 200
    assert (now := until_asleep(url)) is not None and not now.is_awake  # as before


def test_one_that_cannot_be_kept_awake_is_told(begin: Begin) -> None:
    url, _ = begin(*fake("--mood", "never-ready"), start_s=0.5)
    assert keep_awake(url) is None


def test_a_watch_begins_asleep_and_counts_what_follows(begin: Begin) -> None:
    url, _ = begin(*fake())
    health(url)
    watch = SleepWatch({"embed": url})
    assert watch.figures() == {
        "embed_cold_starts": 0,
        "embed_cold_start_s": None,
        "embed_awake_pct": 0.0,
    }
    health(url)
    figures = watch.figures()
    assert figures["embed_cold_starts"] == 1
    assert figures["embed_cold_start_s"] > 0 and 0 < figures["embed_awake_pct"] <= 100


def test_it_ends_as_its_server_ends(begin: Begin) -> None:
    url, process = begin(sys.executable, "-c", "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(NoAnswer):
        health(url)
    assert process.wait(WITHIN_S) == -9
    assert SleepWatch({"embed": url}).figures() == {}


def test_a_server_that_is_never_ready_ends_it(begin: Begin) -> None:
    url, process = begin(*fake("--mood", "never-ready"), start_s=0.5)
    with pytest.raises(NoAnswer):
        health(url)
    assert process.wait(WITHIN_S) == 1
    assert process.stdout is not None
    assert b"not ready within 0.5 s" in process.stdout.read()


def test_a_server_that_ignores_sigterm_sleeps_too(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(woken_server, "STOP_S", 0.5)
    url, _ = begin(*fake("--mood", "ignores-sigterm"))
    health(url)
    assert (now := put_to_sleep(url)) is not None and not now.is_awake


def test_a_server_that_is_not_there_is_told_and_ends_it(begin: Begin) -> None:
    url, process = begin("no-such-server")
    with pytest.raises(NoAnswer):
        health(url)
    out, _ = process.communicate(timeout=WITHIN_S)
    assert (process.returncode, out) == (
        3,
        b"on demand: no-such-server does not start: No such file or directory\n",
    )


def test_a_port_in_use_is_one_line(begin: Begin) -> None:
    url, _ = begin(*fake())
    argv = [sys.executable, front.__file__, "--port", url.rpartition(":")[2], "--", *fake()]
    second = subprocess.run(argv, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    assert (second.returncode, second.stderr.count("\n")) == (3, 1)
    assert second.stderr.startswith("on demand: it cannot listen: ")


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_its_server_without_a_word(
    begin: Begin, number: signal.Signals
) -> None:
    url, process = begin(*fake())
    with connected(url), connected(url, b"GET /hea"):  # nobody who is connected is waited for
        assert health(url) == 200
        process.send_signal(number)
        out, _ = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0 and b"Traceback" not in out


def connected(url: str, sent: bytes = b"") -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    caller = socket.create_connection((host, int(port)), timeout=WITHIN_S)
    caller.sendall(sent)
    return caller


def test_half_a_request_and_what_is_none_wake_nothing(begin: Begin) -> None:
    url, _ = begin(*fake())
    texts = (b"GET /hea", b"\x16\x03\x01\x02", b"POST / HTTP/1.1\r\nX: " + b"a" * 300_000)
    callers = [connected(url, text) for text in texts]
    with callers[0], callers[1], callers[2]:
        assert state(url) == FrontState(is_awake=False, awake_s=0.0, starts_s=())
        try:
            said_back = callers[2].recv(1)
        except ConnectionResetError:  # not all of it had been read
            said_back = b""
        assert said_back == b""  # it was told no more than a server takes


def test_a_question_in_pieces_is_answered_by_the_front(begin: Begin) -> None:
    url, _ = begin(*fake())
    with connected(url, STATE[:9]) as caller:
        state(url)  # what was said so far is read
        caller.sendall(STATE[9:] + b"HTTP/1.1\r\n\r\n")
        assert b'"is_awake": false' in caller.recv(1000)


def test_who_says_no_more_has_its_answer(begin: Begin) -> None:
    url, _ = begin(*fake())
    with connected(url, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n") as caller:
        caller.shutdown(socket.SHUT_WR)
        assert caller.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_callers_beyond_its_files_end_those_that_say_nothing(begin: Begin) -> None:
    files = 2 * SPARE
    url, process = begin(*fake(), limits=("prlimit", f"--nofile={files}", "--"))
    callers = [connected(url) for _ in range(files)]
    assert health(url) == 200
    assert callers[0].recv(1) == b""
    for caller in callers:
        caller.close()
    process.terminate()
    out, _ = process.communicate(timeout=WITHIN_S)
    assert b"Traceback" not in out


def test_a_page_of_health_without_a_line_is_never_ready(begin: Begin) -> None:
    kind = str([*KINDS].index("a status without end"))
    odd = ("--port", OWN_PORT, "--kind", kind, "--where", "health")
    url, process = begin(sys.executable, chaos_server.__file__, *odd, start_s=1.0)
    with pytest.raises(NoAnswer):
        health(url)
    out, _ = process.communicate(timeout=WITHIN_S)
    assert process.returncode == 1 and b"Traceback" not in out
    assert out.endswith(b"on demand: not ready within 1 s\n")


@pytest.mark.parametrize(
    "words",
    [
        ("--port", "99999"),
        ("--port", "0"),
        ("--idle-s", "0"),
        ("--idle-s", "nan"),
        ("--start-s", "-1"),
    ],
)
def test_a_port_or_a_time_that_is_none_is_refused(words: tuple[str, str]) -> None:
    argv = [sys.executable, front.__file__, "--port", "8001", *words, "--", "server"]
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    assert ran.returncode == 2 and f"argument {words[0]}: invalid " in ran.stderr
