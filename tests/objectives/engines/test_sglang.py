"""Checks what is known of SGLang from its documentation, and from 0.5.23 as it ran on a CPU."""

from __future__ import annotations

from typing import Any

import pytest

from objectives.allocation import Allocation
from objectives.apis.metrics_page import CachePage
from objectives.diagnosis.diagnose import diagnose
from objectives.diagnosis.log import FailurePhase, parse
from objectives.engines.every import cache_on, latency_histograms
from objectives.engines.registry import llm_engine
from objectives.engines.sglang import SGLang, usage
from objectives.services import LlmService

# as its issues quote 0.4.6
LOG = """\
[2025-05-02 08:26:14] server_args=ServerArgs(model_path='m', port=5)
[2025-05-02 08:26:31] KV Cache is allocated. #tokens: 441962, K size: 10.11 GB, V size: 10.11 GB
[2025-05-02 08:26:40] max_total_num_tokens=441962, chunked_prefill_size=8192, \
max_running_requests=4096, context_len=32768
[2025-05-02 08:26:41] The server is fired up and ready to roll!
"""
# 0.5.23 on a CPU, a tiny LLM; cut
REAL = """\
[2026-11-30 02:12:28] server_args={'model_path': 'm', 'tokenizer_path': 'm', 'port': 5}
[2026-11-30 02:13:41] Ignore import error when loading sglang.srt.models.inkling: No module named \
'cutlass'
[2026-11-30 02:13:51] KV Cache is allocated. dtype: torch.float16, #tokens: 17345, \
K size: 1.06 GB, V size: 1.06 GB
[2026-11-30 02:13:51] max_total_num_tokens=17345, chunked_prefill_size=4096, \
max_prefill_tokens=16384, max_running_requests=2168, context_len=4096, available_cpu_mem=18.33 GB
[2026-11-30 02:13:56] INFO:     Application startup complete.
[2026-11-30 02:13:58] Prefill batch, #new-seq: 1, #new-token: 29, #cached-token: 0, \
token usage: 0.00, #running-req: 0, #queue-req: 0, #pending-token: 0, cpu graph: False
[2026-11-30 02:14:00] The server is fired up and ready to roll!
"""
LABELS = 'engine_type="unified",model_name="model",moe_ep_rank="0",pp_rank="0",tp_rank="0"'
REAL_PAGE = f"""\
# HELP sglang:num_retracted_reqs The number of retracted requests.
sglang:num_retracted_reqs{{{LABELS},pid="5531"}} 0.0
sglang:num_queue_reqs{{{LABELS}}} 0.0
sglang:token_usage{{{LABELS}}} 0.125
sglang:fwd_occupancy{{{LABELS}}} NaN
"""
NO_ROOM = """\
[2025-05-02 08:26:14] server_args=ServerArgs(model_path='m', port=5)
RuntimeError: Not enough memory. Please try to increase --mem-fraction-static.
"""


def engine(*args: str) -> SGLang:
    sglang = llm_engine(LlmService(engine="sglang", python="py", model="/m/llm", args=args))
    assert isinstance(sglang, SGLang)
    return sglang


def allocation(**options: Any) -> Allocation:
    named = {f"sglang.{name}": value for name, value in options.items()}
    return Allocation({"whisper_model_size": "base", **named})


def test_parameters_become_flags_and_false_is_no_flag() -> None:
    options = allocation(
        mem_fraction_static=0.4, disable_radix_cache=True, enable_mixed_chunk=False
    )
    assert " ".join(engine("--tp", "1").command(options, {}).with_port(5)) == (
        "py -m sglang.launch_server --host 127.0.0.1 --port 5 --model-path /m/llm "
        "--served-model-name model --enable-metrics --tp 1 --mem-fraction-static 0.4 "
        "--disable-radix-cache"
    )


def test_its_memory_must_be_said_and_stands_for_no_other_start() -> None:
    assert engine().missing([]) is not None
    assert engine().missing(["mem_fraction_static"]) is None
    assert engine("--mem-fraction-static", "0.4").missing([]) is None
    assert engine().memory_key(allocation(mem_fraction_static=0.4)) is None


def test_a_card_that_is_too_old_for_it_is_said() -> None:
    sglang = llm_engine(LlmService(engine="sglang", model="m"), "tags")
    assert "place tags on another card" in str(sglang.unable(6.1, ""))
    assert sglang.unable(7.5, "") is None
    assert llm_engine(LlmService(engine="sglang", command="serve")).unable(6.1, "") is None


def test_its_cache_is_told_by_its_log() -> None:
    assert engine().figures("http://h", LOG) == {
        "kv_tokens": 441962,
        "kv_cache_mib": pytest.approx(20.22 * 1024),
        "max_model_len": 32768,
    }
    nothing = {"kv_tokens": None, "kv_cache_mib": None, "max_model_len": None}
    assert engine().figures("http://h", "") == nothing


def test_a_real_log_tells_its_cache_its_phases_and_no_failure() -> None:
    """Its words of imports that it ignores are none, and those of its own warm-up no load."""
    figures = engine().figures("http://h", REAL)
    assert (figures["kv_tokens"], figures["max_model_len"]) == (17345, 4096)
    assert figures["kv_cache_mib"] == pytest.approx(2.12 * 1024)
    assert diagnose(REAL) is None
    log = parse(REAL)
    assert log.phase(REAL.index("KV Cache is")) is FailurePhase.START
    assert log.phase(len(REAL)) is FailurePhase.LOAD


def test_a_real_page_tells_that_nothing_was_retracted_yet() -> None:
    assert usage(REAL_PAGE) == (12.5, 0)
    assert cache_on(REAL_PAGE) == CachePage(used_pct=12.5, preemptions=0, waiting=0.0)


def test_the_use_of_its_cache_is_that_of_its_fullest_part() -> None:
    page = 'sglang:token_usage{tp_rank="0"} 0.25\nsglang:token_usage{tp_rank="1"} 0.5\n'
    assert usage(page) == (50.0, None)
    assert usage("sglang:num_retracted_requests_total 3") == (None, 3)
    assert usage("sglang:token_usage 7") == (None, None)


def test_its_limits() -> None:
    limited = engine("--max-running-requests=16", "--context-length", "4096")
    assert limited.at_once(allocation()) == 16 and limited.longest_taken({}) == 4096
    assert limited.longest_taken({"context_length": (2048, 8192)}) == 2048
    assert engine().at_once(allocation()) is None and engine().longest_taken({}) is None


def test_what_is_not_installed_is_said() -> None:
    assert engine().lack({"sglang": "0.5.0"}) is None
    assert "py has no SGLang" in (engine().lack({}) or "")


def test_its_failures_have_names() -> None:
    diagnosis = diagnose(NO_ROOM, exit_code=1, service="llm")
    assert diagnosis is not None and diagnosis.failure_class == "kv_too_small"
    assert diagnose(LOG) is None


def test_its_page_is_read_where_nobody_says_which_engine_wrote_it() -> None:
    """A rollout knows the page's address alone."""
    page = 'sglang:token_usage{m="a"} 0.25\nsglang:num_queue_reqs{m="a"} 3\n'
    assert cache_on(page) == CachePage(used_pct=25.0, waiting=3.0)
    assert cache_on("up 1") == CachePage()
    assert "sglang:e2e_request_latency_seconds" in latency_histograms()
