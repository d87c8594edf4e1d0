"""The seeded trace is the same for all trials, and no cache knows its prompts."""

import hashlib
import itertools
from dataclasses import astuple, replace

import numpy as np
import pytest

from objectives.allocation import Allocation
from objectives.engines.vllm.kv_cache import KvCache, kv_cache
from objectives.engines.vllm.llm import Vllm
from objectives.services import LlmService
from objectives.traffic.segments import segments
from objectives.traffic.trace import in_turns, trace
from objectives.traffic.turns import turn_requests
from objectives.traffic.workload import Workload, prompt

PLAN = Workload(
    seed=7, window_s=40, llm_per_s=2, stt_per_s=1.5, prompt_tokens=(100, 200), output_tokens=32
)


def of(service, plan=PLAN):
    return [r for r in trace(plan, clips=24) if r.service == service]


def test_one_seed_is_one_trace_and_another_seed_another():
    assert trace(PLAN, 24) == trace(PLAN, 24)
    assert trace(PLAN, 24) != trace(replace(PLAN, seed=8), 24)


@pytest.mark.parametrize(
    ("plan", "digest"),
    [
        (PLAN, "3825a2ef21cf0326"),
        (replace(PLAN, llm_burst=4), "deea93cdfe731c08"),
        (Workload(llm_per_s=0.5), "4a77b686b0980917"),
        (Workload(stt_per_s=0.5), "4a77b686b0980917"),
    ],
)
def test_a_seed_is_the_trace_that_it_was_when_recordings_were_made(plan, digest):
    requests = [astuple(r) for r in trace(plan, 24)]
    assert {(turn, prefix) for *_, turn, prefix in requests} == {(None, None)}
    whole = repr([tuple(of_0_1) for *of_0_1, _, _ in requests])
    assert hashlib.sha256(whole.encode()).hexdigest()[:16] == digest


@pytest.mark.parametrize(
    ("named", "rates"),
    [
        ({}, (0.5, 0, 0)),
        ({"window_s": 30}, (0.5, 0, 0)),
        ({"turns_per_s": 2}, (2, 0, 0)),
        ({"turns_per_s": 2, "llm_per_s": 1, "llm_burst": 8}, (2, 1, 0)),
        ({"turns_per_s": 0, "stt_per_s": 1}, (0, 0, 1)),
        ({"llm_per_s": 1}, (0, 1, 0.5)),
        ({"stt_per_s": 0}, (0, 0.5, 0)),
        ({"llm_burst": 8}, (0, 0.5, 0.5)),
    ],
)
def test_rates_that_nobody_names_follow_from_those_that_are(named, rates):
    workload = Workload(**named)
    assert (workload.turns_per_s, workload.llm_per_s, workload.stt_per_s) == rates
    assert replace(workload, seed=9) == Workload(**named, seed=9)


TURNS = Workload(seed=7, window_s=60, turns_per_s=1.5, llm_per_s=0.4, llm_burst=3)


def test_a_turn_is_a_clip_and_then_a_prompt_that_arrive_together():
    turns = in_turns(r for r in trace(TURNS, 24) if r.turn is not None)
    assert len(turns) == 90
    assert {tuple(r.service for r in turn) for turn in turns} == {("stt", "llm")}
    assert all(clip.at_s == prompt.at_s for clip, prompt in turns)
    assert len({prompt.seed for _, prompt in turns}) == 90
    beside = [r for r in trace(TURNS, 24) if r.turn is None]
    assert (len(beside), len({r.at_s for r in beside})) == (24, 8)
    assert {r.service for r in beside} == {"llm"}


def test_a_turn_of_the_window_is_a_turn_of_a_ramp_in_other_words():
    clip, prompt = in_turns(r for r in trace(TURNS, 24) if r.turn == 5)[0]
    other_clip, other = turn_requests(TURNS, {"stt": True, "llm": False}, 5, 24, salt=1)
    assert (clip.clip, prompt.prompt_tokens) == (other_clip.clip, other.prompt_tokens)
    assert prompt.seed != other.seed


@pytest.mark.parametrize(("window_s", "seed"), [(60, 7), (120, 1), (100, 3), (20, 2), (7, 4)])
def test_every_segment_has_the_arrivals_of_a_seed_of_its_own_and_as_much_work(window_s, seed):
    plan = replace(TURNS, window_s=window_s, seed=seed)
    parts = segments(plan)
    assert (parts[0].begin_s, parts[-1].end_s) == (0, window_s)
    assert all(a.end_s == b.begin_s for a, b in itertools.pairwise(parts))
    begins = [t[0] for t in in_turns(trace(plan, 24))]
    assert len([r for r in begins if r.turn is not None]) == round(1.5 * window_s)
    assert all(sum(part.has(r.at_s) for part in parts) == 1 for r in begins)
    for kind in (True, False):
        counts = [
            sum((r.turn is None) is kind and part.has(r.at_s) for r in begins) for part in parts
        ]
        assert max(counts) - min(counts) <= (3 if kind else 1)
    within = [sorted(r.at_s - part.begin_s for r in begins if part.has(r.at_s)) for part in parts]
    assert len({tuple(w) for w in within}) == len(parts)


@pytest.mark.parametrize("seed", range(5))
def test_every_seed_carries_the_same_amount_of_work(seed):
    plan = replace(PLAN, seed=seed)
    assert (len(of("llm", plan)), len(of("stt", plan))) == (80, 60)


def test_arrivals_are_sorted_and_inside_the_window():
    times = [r.at_s for r in trace(PLAN, 24)]
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] <= 40


def test_requests_are_as_long_as_asked():
    lengths = [r.prompt_tokens for r in of("llm")]
    assert 100 <= min(lengths) < max(lengths) <= 200
    assert {r.output_tokens for r in of("llm")} == {32}
    assert {r.prompt_tokens for r in of("stt")} == {0}


def test_clips_are_used_in_turn_before_one_comes_again():
    clips = [r.clip for r in of("stt")]
    assert sorted(clips[:24]) == sorted(clips[24:48]) == list(range(24))


def test_a_burst_arrives_together_at_the_same_mean_rate():
    requests = of("llm", replace(PLAN, llm_burst=4))
    assert len(requests) == 80
    assert len({r.at_s for r in requests}) == 20
    assert len({r.seed for r in requests}) == 80


def test_a_service_without_a_rate_gets_nothing():
    assert of("stt", replace(PLAN, stt_per_s=0)) == []


def test_one_services_rate_does_not_move_the_other():
    assert of("stt", replace(PLAN, llm_per_s=1)) == of("stt")


@pytest.mark.parametrize("vocabulary", [600, 2048, 150_000])
def test_prompts_are_exact_repeatable_unlike_and_free_of_special_tokens(vocabulary):
    first = prompt(64, 1, vocabulary)
    assert len(first) == 64
    assert all(300 <= t < vocabulary for t in first)
    assert first == prompt(64, 1, vocabulary)
    assert first[:16] != prompt(64, 2, vocabulary)[:16]


def test_a_tiny_vocabulary_still_has_prompts():
    assert set(prompt(500, 1, 100)) <= set(range(50, 100))


def test_prompts_of_all_requests_differ():
    starts = {tuple(prompt(16, r.seed, 2048)) for r in of("llm")}
    assert len(starts) == 80
    assert np.unique([r.seed for r in of("llm")]).size == 80


INFO = (
    'vllm:cache_config_info{block_size="16",kv_cache_size_tokens="1552",num_gpu_blocks="100"} 1.0'
)
LOG = """\
GPU KV cache size: 24,832 tokens
Available KV cache memory: 3.03 GiB
Maximum concurrency for 2,048 tokens per request: 12.13x
"""


@pytest.mark.parametrize(
    ("metrics", "log", "expected"),
    [
        (INFO, LOG, KvCache(1552, 3102.72, 2048)),
        (INFO.replace("kv_cache_size_tokens", "other"), "", KvCache(1600, None, None)),
        (INFO.replace("1552", "None").replace("16", "None"), LOG, KvCache(24832, 3102.72, 2048)),
        ("", LOG, KvCache(24832, 3102.72, 2048)),
        ("", "", KvCache(None, None, None)),
    ],
)
def test_an_engines_cache_is_read_where_it_is_told(metrics, log, expected):
    assert kv_cache(metrics, log) == expected


@pytest.mark.parametrize(
    ("tokens", "options", "args", "bound"),
    [
        (None, {}, (), None),
        (2320, {}, (), 10),
        (2319, {}, (), 9),
        (2320, {}, ("--max-num-seqs", "4"), 4),
        (2320, {"vllm.max_num_seqs": 6}, ("--max-num-seqs", "4"), 6),
        (2320, {"vllm.max_num_seqs": 64}, (), 10),
    ],
)
def test_a_cache_holds_so_many_of_the_longest_requests(tokens, options, args, bound):
    allocation = Allocation({"vllm_memory_util": 0.5, "whisper_model_size": "base", **options})
    engine = Vllm(LlmService(args=args))
    bounds = engine.bounds({"llm_kv_tokens": tokens}, PLAN, allocation)
    assert bounds == {"kv_capacity_bound": bound}
