"""A window replays its slice; ramps take its lengths and shared prefixes in order."""

from __future__ import annotations

from dataclasses import asdict, replace
from statistics import median
from typing import Any

from objectives.plain_data.by_type import from_plain
from objectives.plain_data.infinity import plain
from objectives.services import LlmService, Services, SttService
from objectives.setting import Setting, conditions
from objectives.traffic.prompts import prompt_of
from objectives.traffic.ready_made import READY_MADE, ready_made
from objectives.traffic.replay import alone_requests
from objectives.traffic.slices import sliced
from objectives.traffic.trace import in_turns, trace
from objectives.traffic.trace_slice import Arrival, Stt, TraceOptions
from objectives.traffic.turns import turn_requests
from objectives.traffic.workload import Request, Workload, without_arrivals

SERVICES = {"stt": True, "llm": False}
VOCABULARY = 2048
ARRIVALS = [Arrival(n / 2, 40 + n, 5 + n, (0, n // 2, 100 + n), line=n + 1) for n in range(40)]


def workload(stt: Stt = "before_each", **changes: Any) -> Workload:
    options = TraceOptions(file="a/t", format="timed_trace", from_s=0.0, for_s=20.0)
    options = replace(options, stt=stt)
    of = sliced(ARRIVALS, options, 7, failed=0, sha256="x", block_tokens=16)
    rates: dict[str, Any] = {"turns_per_s": 2.0, "llm_per_s": 0.0, "stt_per_s": 0.0}
    if stt == "poisson":
        rates: dict[str, Any] = {"turns_per_s": 0.0, "llm_per_s": 2.0, "stt_per_s": 1.5}
    whole = Workload(seed=7, window_s=20.0, prompt_tokens=(40, 79), trace=of, **rates)
    return replace(whole, **changes)


def prompts(requests: tuple[Request, ...]) -> list[list[int]]:
    return [prompt_of(r, VOCABULARY) for r in requests if r.service == "llm"]


def test_each_request_of_the_trace_is_a_turn_at_its_time() -> None:
    turns = in_turns(trace(workload(), 24))
    assert [[r.service for r in turn] for turn in turns] == [["stt", "llm"]] * 40
    assert [turn[0].at_s for turn in turns] == [a.at_s for a in ARRIVALS]
    assert [(t[1].prompt_tokens, t[1].output_tokens) for t in turns] == [
        (a.prompt_tokens, a.output_tokens) for a in ARRIVALS
    ]
    assert len({turn[0].clip for turn in turns}) > 10


def test_clips_beside_a_trace_come_at_their_own_rate() -> None:
    requests = trace(workload("poisson"), 24)
    assert {r.turn for r in requests} == {None}
    assert [r.at_s for r in requests if r.service == "llm"] == [a.at_s for a in ARRIVALS]
    assert sum(r.service == "stt" for r in requests) == 30


def test_equal_leading_ids_are_equal_leading_tokens_and_all_else_is_unlike() -> None:
    first, second, third = prompts(trace(workload(), 24))[:3]  # ids (0, 0, _), (0, 0, _), (0, 1, _)
    assert [len(first), len(second), len(third)] == [40, 41, 42]
    assert first[:32] == second[:32] != third[:32]
    assert first[:16] == third[:16]
    assert first[32:] != second[32:40]
    assert all(300 <= t < VOCABULARY for t in first)


def test_a_cut_block_is_the_begin_of_the_whole_one() -> None:
    request = next(r for r in trace(workload(), 24) if r.service == "llm")
    longer = replace(request, prompt_tokens=48)
    assert prompt_of(longer, VOCABULARY)[:40] == prompt_of(request, VOCABULARY)


def test_what_lies_beyond_the_ids_is_unlike() -> None:
    [a, b] = [replace(r, prompt_tokens=60, seed=n) for n in (1, 2) for r in _first()]
    assert prompt_of(a, VOCABULARY)[:48] == prompt_of(b, VOCABULARY)[:48]
    assert prompt_of(a, VOCABULARY)[48:] != prompt_of(b, VOCABULARY)[48:]


def _first() -> list[Request]:
    return [r for r in trace(workload(), 24) if r.service == "llm"][:1]


def test_a_ramp_has_the_lengths_of_the_trace_in_order_and_again_from_the_first() -> None:
    turns = [turn_requests(workload(), SERVICES, n, 24, salt=1) for n in range(85)]
    lengths = [turn[1].prompt_tokens for turn in turns]
    assert lengths == [a.prompt_tokens for a in ARRIVALS] * 2 + lengths[:5]


def test_prompts_are_shared_within_a_ramp_and_with_nothing_else() -> None:
    window = prompts(trace(workload(), 24))
    begins = {tuple(p[:16]) for p in window}
    for salt in (1, 2):
        turns = [turn_requests(workload(), SERVICES, n, 24, salt) for n in range(80)]
        own = [prompt_of(turn[1], VOCABULARY) for turn in turns]
        first, again = ({tuple(p[:16]) for p in part} for part in (own[:40], own[40:]))
        assert len(first) == len(again) == 1  # id 0
        assert not (first | again) & begins
        assert len(first | again) == 2
        begins |= first | again
    assert len({tuple(p[:16]) for p in prompts(trace(workload(seed=8), 24))} & begins) == 0


def test_alone_the_median_request_is_that_of_the_trace() -> None:
    requests = alone_requests(workload(), "llm", range(5))
    tokens = [r.prompt_tokens + r.output_tokens for r in requests]
    assert abs(median(tokens) - median(a.tokens for a in ARRIVALS)) <= 2
    assert tokens == sorted(tokens)
    drawn = alone_requests(Workload(), "llm", range(5))
    assert {(r.prompt_tokens, r.output_tokens) for r in drawn} == {(2048, 128)}


def test_the_longest_request_is_one_that_is_there() -> None:
    assert workload().longest == (79, 44)
    assert Workload().longest == (2048, 128)
    assert workload().mean_tokens == (59.5 + 24.5)


def test_ready_made_kinds_of_a_trace_draw_lengths_like_its_own() -> None:
    for name in READY_MADE:
        made = ready_made(name, workload())
        assert made.trace is None
        assert 1 <= made.prompt_tokens[0] <= made.prompt_tokens[1] <= 79
        assert made.output_tokens == 24
        assert {r.service for r in trace(made, 24)} == {"llm", "stt"}


def test_a_trace_is_comparable_by_its_digest_and_options_wherever_it_lies() -> None:
    services: Services = {"llm": LlmService(model="a/model"), "stt": SttService()}

    def of(changed: Workload) -> dict[str, Any]:
        return conditions(Setting(services=services, workload=changed))

    own = workload()
    assert own.trace is not None
    moved = replace(own.trace, options=replace(own.trace.options, file="b/t"))
    assert of(replace(own, trace=moved)) == of(own)
    for other in (
        replace(own.trace, sha256="y"),
        replace(own.trace, options=replace(own.trace.options, thin=0.5)),
    ):
        assert of(replace(own, trace=other)) != of(own)
    assert "trace" not in of(Workload())["workload"]
    assert from_plain(Workload, of(own)["workload"]).mean_tokens == own.mean_tokens


def test_a_stored_workload_is_read_back_without_what_is_sent() -> None:
    stored = without_arrivals(workload())
    assert from_plain(Workload, plain(asdict(stored))) == stored
    assert stored.trace is not None
    assert stored.trace.arrivals == ()
