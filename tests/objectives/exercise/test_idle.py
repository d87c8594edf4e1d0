"""Servers that could not follow are waited for, so that the next load meets them idle."""

from types import SimpleNamespace
from typing import Any

import pytest
from made.factories import endpoints_of

from objectives.capacity.limits import DEFAULT_LIMITS
from objectives.capacity.ramp_rate import RampRate
from objectives.errors import StudyError
from objectives.evaluation import Step
from objectives.exercise import idle, turns
from objectives.exercise.exercise import Exercise
from objectives.exercise.idle import IdleProbe, has_left_work, probes_of, wait_until_idle
from objectives.exercise.ready_servers import ReadyServers
from objectives.load.generator import Generator
from objectives.load.replies import Fault, Reply, RequestError
from objectives.servers import blame
from objectives.servers.blame import Suspects
from objectives.traffic.clips import read_clips
from objectives.traffic.workload import Request, Workload

pytestmark = pytest.mark.usefixtures("forked")
CLIPS = read_clips("assistant")


LLM, STT = Request("llm", 0.0, 8, 2), Request("stt", 0.0, clip=0)
PROBES = [IdleProbe(LLM, 200.0), IdleProbe(STT, 50.0)]
TIMEOUT = RequestError(Fault.TIMEOUT, "no answer")
BUSY = [RequestError(Fault.STATUS, f"HTTP {status}", status) for status in (429, 503)]
DEAD = RequestError(Fault.CONNECT, "nobody listens")


class Answers:
    """Nobody is asked: each pair of requests is answered after the next of these times, or not."""

    def __init__(self, *answers):
        self.answers = iter(answers)

    def __call__(self, generator, endpoints, clips, requests, *, timeout_s):
        replies = []
        for request, answer in zip(requests, next(self.answers), strict=True):
            is_error = isinstance(answer, RequestError)
            replies.append(
                Reply(
                    service=request.service,
                    scheduled_s=0.0,
                    sent_s=0.0,
                    end_s=None if is_error else answer / 1000.0,
                    error=answer if is_error else None,
                )
            )
            if is_error:  # what follows is not asked
                break
        return replies


def servers_of(monkeypatch, answers, steps):
    monkeypatch.setattr(idle, "one_by_one", answers)
    monkeypatch.setattr(idle, "PAUSE_S", 0.0)
    monkeypatch.setattr(blame, "DYING_S", 0.0)
    server: Any = SimpleNamespace(name="llm", alive=True, exit_code=None, log_text=str)
    apis = {"llm": "completions", "stt": "transcription"}
    suspects = Suspects({"llm": server}, apis, {})
    return ReadyServers(Generator(), {}, suspects, lambda phase: steps.append(phase.step))


@pytest.mark.parametrize(
    "answers",
    [
        [(200.0, 60.0)],
        [(210.0, 19_000.0), (180.0, 49.0)],  # first come first served
        [(900.0, 50.0), (800.0, 50.0), (499.0, 50.0)],  # several at once
        [(200.0, TIMEOUT), (BUSY[0], 50.0), (200.0, BUSY[1]), (200.0, 50.0)],
    ],
)
def test_each_service_is_asked_until_it_answers_as_it_did_alone(monkeypatch, answers):
    rest, steps = Answers(*answers, "left"), list[Step]()
    assert wait_until_idle(PROBES, servers_of(monkeypatch, rest, steps), ())
    assert steps == [Step.SETTLING]
    assert [*rest.answers] == ["left"]


def test_a_server_that_does_not_come_to_rest_is_told_after_a_while(monkeypatch):
    answers = Answers(*[(900.0, 50.0)] * 1_000_000)
    monkeypatch.setattr(idle, "SETTLE_S", 0.2)
    assert not wait_until_idle(PROBES, servers_of(monkeypatch, answers, []), ())
    diagnosis = idle.still_busy().diagnosis
    assert (diagnosis.failure_class, diagnosis.victim) == ("overdue", None)


def test_a_server_that_is_gone_is_not_waited_for(monkeypatch):
    with pytest.raises(StudyError, match="nobody listens"):
        wait_until_idle(PROBES, servers_of(monkeypatch, Answers((DEAD, 0.0)), []), ())


def test_a_load_of_which_nothing_failed_has_left_no_work():
    assert not has_left_work([None, None])
    assert has_left_work([None, "TimeoutError"])


def test_a_probe_is_the_last_request_of_each_service():
    requests = [Request("llm", 0.0, n, 2) for n in (8, 16)] + [Request("stt", 0.0, clip=1)]
    replies = [
        Reply(service=q.service, scheduled_s=0.0, sent_s=0.0, end_s=n)
        for n, q in enumerate(requests, 1)
    ]
    assert probes_of(requests, replies) == [
        IdleProbe(requests[1], 2000.0),
        IdleProbe(requests[2], 3000.0),
    ]


def test_a_ramp_that_was_given_up_leaves_its_servers_idle(generator, fake):
    """One clip after the other, 0.1 s each, and nobody waits for one longer than a second."""
    server = fake("serial", "--delay", 0.1)
    endpoints = endpoints_of(server.url, server.url, 2048)
    workload = Workload(
        prompt_tokens=(8, 16), output_tokens=3, request_timeout_s=1, alone_requests=1
    )
    exercise, steps = Exercise(workload, CLIPS), []
    suspects = Suspects({}, {"llm": "completions", "stt": "transcription"}, {})

    def on_phase(phase):
        steps.append(phase.step)

    servers = ReadyServers(generator, endpoints, suspects, on_phase)
    exercise.alone(servers, {})
    source = exercise.turns(servers, dict.fromkeys(DEFAULT_LIMITS, 60_000.0))
    rate = RampRate(30.0, 60.0, 0.5, "geometric")
    sent = turns.drive_ramp(source, rate)
    assert has_left_work(r.error for r in sent.replies)
    turns._settle(source, sent)
    assert steps[-1] is Step.SETTLING
    assert all(p.alone_ms > 0 for p in exercise._probes) and len(exercise._probes) == 2
