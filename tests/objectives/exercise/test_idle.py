"""Servers that could not follow are waited for, so that the next load meets them idle."""

from types import SimpleNamespace

import pytest
from factories import endpoints_of

from objectives.capacity.limits import DEFAULT_LIMITS
from objectives.capacity.ramp_rate import RampRate
from objectives.errors import StudyError
from objectives.evaluation import Step
from objectives.exercise import idle, turns
from objectives.exercise.exercise import Exercise
from objectives.exercise.idle import Probe, has_left_work, probes_of, wait_until_idle
from objectives.exercise.ready_servers import ReadyServers
from objectives.load.generator import Generator
from objectives.load.replies import Reply
from objectives.servers import blame
from objectives.servers.blame import Suspects
from objectives.traffic.clips import read_clips
from objectives.traffic.workload import Request, Workload

CLIPS = read_clips("assistant")


class Answers:
    """Nobody is asked: each request is answered after the next of these times."""

    def __init__(self, *latencies_ms):
        self.latencies_ms = iter(latencies_ms)

    def __call__(self, generator, endpoints, clips, requests, *, timeout_s):
        return [
            Reply(service=q.service, scheduled_s=0.0, sent_s=0.0, end_s=ms / 1000.0)
            for q, ms in zip(requests, next(self.latencies_ms), strict=True)
        ]


PROBES = [Probe(Request("llm", 0.0, 8, 2), 200.0), Probe(Request("stt", 0.0, clip=0), 50.0)]


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ([(200.0, 60.0)], 1),
        ([(210.0, 19_000.0), (180.0, 49.0)], 2),  # first come first served
        ([(900.0, 50.0), (800.0, 50.0), (499.0, 50.0)], 3),  # several at once
    ],
)
def test_each_service_is_asked_until_it_answers_as_it_did_alone(monkeypatch, answers, asked):
    rest, steps = Answers(*answers, None), []
    monkeypatch.setattr(idle, "one_by_one", rest)
    suspects = Suspects({}, {}, [])
    servers = ReadyServers(Generator(), {}, suspects, lambda phase: steps.append(phase.step))
    wait_until_idle(PROBES, servers, ())
    assert steps == [Step.SETTLING]
    assert [*rest.latencies_ms] == [*answers[asked:], None]


def test_a_server_that_does_not_come_to_rest_fails_its_trial(monkeypatch):
    monkeypatch.setattr(idle, "one_by_one", Answers(*[(900.0, 50.0)] * 1_000_000))
    monkeypatch.setattr(idle, "SETTLE_S", 0.2)
    server = SimpleNamespace(name="llm", alive=True, exit_code=None, log_text=str)
    suspects = Suspects({"llm": server}, {"llm": "completions"}, [])
    monkeypatch.setattr(blame, "DYING_S", 0.0)
    with pytest.raises(StudyError, match="still busy"):
        wait_until_idle(PROBES, ReadyServers(Generator(), {}, suspects, lambda _: None), ())


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
        Probe(requests[1], 2000.0),
        Probe(requests[2], 3000.0),
    ]


def test_a_ramp_that_was_given_up_leaves_its_servers_idle(generator, fake):
    """One clip after the other, 0.3 s each, and nobody waits for one longer than a second."""
    server = fake("serial", "--delay", 0.3)
    endpoints = endpoints_of(server.url, server.url, 2048)
    workload = Workload(
        prompt_tokens=(8, 16), output_tokens=3, request_timeout_s=1, alone_requests=1
    )
    exercise, steps = Exercise(workload, CLIPS), []
    suspects = Suspects({}, {"llm": "completions", "stt": "transcription"}, [])

    def on_phase(phase):
        steps.append(phase.step)

    servers = ReadyServers(generator, endpoints, suspects, on_phase)
    exercise.alone(servers, "", is_scored=False)
    source = exercise.turns(servers, dict.fromkeys(DEFAULT_LIMITS, 60_000.0))
    rate = RampRate(10.0, 20.0, 0.5, "geometric")
    sent = turns.drive_ramp(source, rate)
    assert has_left_work(r.error for r in sent.replies)
    turns._settle(source, sent)
    assert steps[-1] is Step.SETTLING
    assert all(p.alone_ms > 0 for p in exercise._probes) and len(exercise._probes) == 2
