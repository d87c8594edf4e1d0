"""The generator's process ends with this one, and its own end is an error for people."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made.factories import endpoints_of

from objectives.errors import SetupError
from objectives.load import generator as generator_module
from objectives.load.generator import Generator
from objectives.load.open_loop import drive, one_by_one
from objectives.load.replies import Fault, Reply, RequestError, Symptom
from objectives.load.sending import process as process_module
from objectives.load.sending.plan import (
    Plan,
    clips_of,
    plain_clips,
    plain_reply,
    reply_of,
)
from objectives.traffic.clips import Clip, read_clips
from objectives.traffic.workload import Prefix, Request

CLIPS = read_clips("assistant")
LLM = Request("llm", 0.0, prompt_tokens=12, output_tokens=5, seed=3)
NOBODY = endpoints_of("http://127.0.0.1:1", "http://127.0.0.1:1", 2048, None)
PARENT = """
import sys, time
from objectives.load.generator import Generator
with Generator() as generator:
    print(generator.pid, flush=True)
    time.sleep(600)
"""


def has_ended(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] == "Z"
    except OSError:
        return True


def ends_soon(pid):
    deadline = time.monotonic() + 30
    while not has_ended(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return has_ended(pid)


@pytest.fixture
def own(forked):
    with Generator() as own:
        yield own


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_is_killed_in_the_middle_is_an_error_and_the_next_plan_gets_another(
    own, fake, number
):
    ends, pids = endpoints_of(fake().url, "http://127.0.0.1:1", 2048), []

    def kill():
        pids.append(own.pid)
        os.kill(own.pid, number)

    with pytest.raises(
        SetupError, match=rf"ended by itself .signal {number}.*run the same command"
    ):
        drive(own, ends, CLIPS, [LLM, Request("llm", 60.0)], timeout_s=20, broken=kill)
    replies = one_by_one(own, ends, CLIPS, [LLM], timeout_s=20)
    assert [r.error for r in replies] == [None]
    assert own.pid not in pids


def test_a_process_that_died_before_its_plan_is_an_error(own):
    os.kill(own.pid, signal.SIGKILL)
    with pytest.raises(SetupError, match=r"ended by itself .signal 9."):
        one_by_one(own, NOBODY, CLIPS, [LLM], timeout_s=20)


def test_a_bug_of_ours_is_told_with_its_last_words(own):
    with pytest.raises(SetupError, match=r"exit code 1(.|\n)*IndexError"):
        one_by_one(own, NOBODY, CLIPS, [Request("stt", 0.0, clip=10_000)], timeout_s=20)


def test_a_process_that_stands_still_is_an_error_in_time(monkeypatch):
    monkeypatch.setattr(generator_module, "PATIENCE_S", 0.5)
    monkeypatch.setattr(process_module, "CLOSE_S", 0.1)
    with Generator() as own:
        os.kill(own.pid, signal.SIGSTOP)
        with pytest.raises(SetupError, match=r"did not answer within 0.5 s"):
            one_by_one(own, NOBODY, CLIPS, [LLM], timeout_s=20)


def test_a_process_that_reads_no_more_is_an_error_in_time(own, monkeypatch):
    one_by_one(own, NOBODY, CLIPS, [LLM], timeout_s=20)
    monkeypatch.setattr(process_module, "PATIENCE_S", 0.5)
    monkeypatch.setattr(process_module, "CLOSE_S", 0.1)
    os.kill(own.pid, signal.SIGSTOP)
    plan = [LLM] * 20_000  # more than a pipe holds
    with pytest.raises(SetupError, match=r"read nothing for 0.5 s.*run the same command"):
        drive(own, NOBODY, CLIPS, plan, timeout_s=20, broken=lambda: None)


def test_what_is_printed_in_the_process_is_no_message(fake, monkeypatch, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("print('hello', flush=True)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    ends = endpoints_of(fake().url, "http://127.0.0.1:1", 2048)
    with Generator() as own:
        assert [r.error for r in one_by_one(own, ends, CLIPS, [LLM], timeout_s=20)] == [None]


def test_a_plan_that_does_not_end_is_an_error_in_time(own, fake, monkeypatch):
    monkeypatch.setattr(generator_module, "PATIENCE_S", 2.0)
    monkeypatch.setattr(process_module, "CLOSE_S", 0.1)
    ends = endpoints_of(fake().url, "http://127.0.0.1:1", 2048)

    def stop():
        os.kill(own.pid, signal.SIGSTOP)

    with pytest.raises(SetupError, match="does not end what it sends"):
        drive(own, ends, CLIPS, [Request("llm", 1.0)], timeout_s=0.5, broken=stop)


def test_what_raises_in_this_process_ends_the_plan(own, fake):
    ends, pid = endpoints_of(fake().url, "http://127.0.0.1:1", 2048), []

    def interrupted():
        pid.append(own.pid)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drive(own, ends, CLIPS, [Request("llm", 60.0)], timeout_s=20, broken=interrupted)
    assert own.pid is None and has_ended(pid[0])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_the_process_ends_with_its_parent(number):
    argv = [sys.executable, "-c", PARENT]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        pid = int(parent.stdout.readline())
        assert not has_ended(pid)
        parent.send_signal(number)
    assert ends_soon(pid)


def test_nothing_more_leaves_once_the_rest_is_not_worth_its_time(generator, fake):
    ends, seen = endpoints_of(fake().url, "http://127.0.0.1:1", 2048), []

    def is_worth(progress):
        seen.append(progress)
        return False

    requests = [Request("llm", at_s, 8, 2, seed=n) for n, at_s in enumerate((0.0, 0.1, 30.0))]
    began = time.monotonic()
    window = drive(
        generator,
        ends,
        CLIPS,
        requests,
        timeout_s=20,
        broken=lambda: None,
        ends_s=(0.3,),
        is_worth=is_worth,
    )
    assert time.monotonic() - began < 20
    assert (window.is_given_up, window.is_drained, window.aborted) == (True, True, None)
    assert len(window.replies) == 2 and len(seen) == 1
    assert len(seen[0].replies) == 3  # the last is as good as it could be: answered at once
    assert max(r.scheduled_s for r in seen[0].replies) == pytest.approx(window.started_s + 30)


def test_a_window_that_ends_with_a_server_hangs_up(generator, fake):
    ends = endpoints_of(fake("silent").url, "http://127.0.0.1:1", 2048, None)
    ended, began = Symptom("the llm server ended under load"), time.monotonic()
    window = drive(
        generator, ends, CLIPS, [LLM, Request("llm", 60.0)], timeout_s=60, broken=lambda: ended
    )
    assert (window.aborted, window.replies) == (ended, [])
    assert time.monotonic() - began < 20


def test_a_plan_and_its_replies_are_the_same_on_the_other_side():
    prefix = Prefix((3, 2**60), 512, 9)
    prompt = Request("llm", 0.5, 7, 8, seed=2**40, turn=0, prefix=prefix)
    turns = [[Request("stt", 0.5, clip=2, turn=0), prompt]]
    plan = Plan(endpoints_of("http://a:1", "http://b:2", None), turns, 5.0, is_whole=False)
    there = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    assert there.turns == turns and (there.timeout_s, there.is_whole) == (5.0, False)
    assert [(e.url, e.api) for e in there.endpoints.values()] == [
        (e.url, e.api) for e in plan.endpoints.values()
    ]
    assert plan.longest_s == 10.5
    error = RequestError(Fault.STATUS, "HTTP 507: full", 507)
    for reply in (
        Reply(service="stt", scheduled_s=1.0, sent_s=1.5, error=error),
        Reply(service="llm", scheduled_s=0.1, sent_s=0.2, first_s=0.3, end_s=1 / 3, tokens=4),
    ):
        assert reply_of(json.loads(json.dumps(plain_reply(reply)))) == reply
    clips = (Clip("a.flac", b"\x00\xff", 1.5, ("words",)),)
    (clip,) = clips_of(plain_clips(clips))
    assert (clip.name, clip.audio, clip.seconds) == ("a.flac", b"\x00\xff", 1.5)
