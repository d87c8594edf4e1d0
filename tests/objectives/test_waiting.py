"""A signal is raised where a wait looks, once, and nowhere else; a time that is over too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from objectives import waiting
from objectives.errors import Overdue


@pytest.fixture
def listening(heard: None) -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in waiting.SIGNALS}
    waiting.listen()
    yield
    waiting.listen()  # forgets what was asked
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize("number", waiting.SIGNALS)
def test_a_signal_is_raised_once_and_only_where_a_wait_looks(number: int) -> None:
    for _ in range(10):
        os.kill(os.getpid(), number)
    assert waiting.is_over()
    with pytest.raises(KeyboardInterrupt):
        waiting.sleep(60)
    os.kill(os.getpid(), number)
    waiting.sleep(0.01)  # what puts things back can wait
    assert not waiting.is_over()


@pytest.mark.usefixtures("listening")
def test_a_wait_ends_with_the_signal() -> None:
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
    begin_s = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        waiting.sleep(60)
    assert time.monotonic() - begin_s < 20


@pytest.mark.usefixtures("listening")
def test_another_thread_hears_of_no_signal() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    heard: list[bool] = []
    thread = threading.Thread(target=lambda: heard.append(waiting.is_over()))
    thread.start()
    thread.join()
    assert heard == [False]
    with pytest.raises(KeyboardInterrupt):
        waiting.check()


def test_the_shorter_time_counts_and_is_over_once() -> None:
    with waiting.within(60), waiting.within(0.01), waiting.within(30):
        with pytest.raises(Overdue):
            waiting.sleep(20)
        waiting.sleep(0.01)
    waiting.check()


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("is_ignored", [False, True])
def test_what_never_looks_ends_at_a_later_signal_unless_it_was_to_ignore_them(
    is_ignored: bool,
) -> None:
    program = (
        "import os, signal\n"
        f"if {is_ignored}: signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from objectives import waiting\n"
        "waiting.PATIENCE_S = -1\n"
        "waiting.listen()\n"
        "for _ in range(2): os.kill(os.getpid(), signal.SIGHUP)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0 if is_ignored else 130, b"")
