"""Checks what is known of llama.cpp's server: its command, its slots and cache, its failures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made.model_folders import write_gguf

from objectives.allocation import Allocation
from objectives.diagnosis.diagnose import diagnose
from objectives.diagnosis.log import FailurePhase
from objectives.engines.llama_cpp import llm as llama_cpp
from objectives.engines.llama_cpp.llm import LlamaCpp, usage
from objectives.engines.registry import engines_of, llm_engine
from objectives.errors import SetupError
from objectives.services import LlmService, Services, SttService
from objectives.traffic.workload import Workload

# as xllamacpp 2026.10.11549 wrote it
LOG = """\
0.00.023.186 I srv    load_model: loading model 'tiny.gguf'
0.00.417.331 I srv    load_model: initializing, n_slots = 4, n_ctx_slot = 2048, kv_unified = 'false'
0.00.428.056 I srv          init: listening on http://127.0.0.1:18210
"""
SLOTS = [
    {"id": 0, "n_ctx": 2048, "is_processing": False},
    {
        "id": 3,
        "n_ctx": 2048,
        "is_processing": True,
        "n_prompt_tokens": 456,
        "n_prompt_tokens_processed": 1,
        "n_prompt_tokens_cache": 3,
        "next_token": [{"n_remain": 1048, "n_decoded": 452}],
    },
]


def engine(*args: str, **more: Any) -> LlamaCpp:
    service = LlmService(engine="llama_cpp", model="/m/tiny.gguf", args=args, **more)
    llama = llm_engine(service)
    assert isinstance(llama, LlamaCpp)
    return llama


def allocation(**options: Any) -> Allocation:
    named = {f"llama.{name}": value for name, value in options.items()}
    return Allocation({"whisper_model_size": "base", **named})


def words(*args: str, program: str = "", **options: Any) -> str:
    made = engine(*args, program=program).command(allocation(**options), {})
    return " ".join(made.with_port(5))


def test_parameters_become_flags_beside_what_it_needs() -> None:
    assert words("--cache-ram", "0", ctx_size=8192, mlock=True) == (
        "llama-server --model /m/tiny.gguf --alias model --host 127.0.0.1 --port 5 --parallel 4 "
        "--n-gpu-layers 999 --cache-ram 0 --ctx-size 8192 --mlock"
    )
    assert words(program="/opt/b/llama-server", ctx_size=1).startswith("/opt/b/llama-server --")


def test_what_args_or_parameters_say_is_said_once() -> None:
    command = words("-np", "2", "-c=4096", n_gpu_layers=20)
    assert command.count("--parallel") == 0 and command.count("--n-gpu-layers") == 1
    assert command.endswith("-np 2 -c=4096 --n-gpu-layers 20")
    assert words(ctx_size=1, flash_attn=False).endswith("--flash-attn off")


def test_it_takes_what_it_needs_and_is_started_last_of_a_turn() -> None:
    services: Services = {"llm": LlmService(engine="llama_cpp"), "stt": SttService()}
    assert [e.name for e in engines_of(services)] == ["stt", "llm"]
    assert not engine().has_share
    assert engine().memory_key(allocation(ctx_size=8, threads=2)) == "ctx_size=8"


@pytest.mark.parametrize(
    ("args", "named", "is_said"),
    [((), [], False), (("-c", "8192"), [], True), ((), ["ctx_size"], True), (("-c",), [], False)],
)
def test_its_context_must_be_said(
    args: tuple[str, ...], named: list[str], *, is_said: bool
) -> None:
    assert (engine(*args).missing(named) is None) == is_said


@pytest.mark.parametrize("word", ["-m", "--model=a", "--port", "-a", "--alias"])
def test_the_study_sets_these_itself(word: str) -> None:
    assert engine().sets_itself(word)


@pytest.mark.parametrize("word", ["8192", "model", "--kv-unified", "-kvu", "-c", "--jinja"])
def test_anything_else_is_the_users(word: str) -> None:
    assert not engine().sets_itself(word)


def told(monkeypatch: pytest.MonkeyPatch, page: object) -> Callable[[str], dict[str, Any]]:
    monkeypatch.setattr(llama_cpp, "engine_page", lambda *_: json.dumps(page))
    return lambda log: engine().figures("http://h", log)


def test_its_cache_is_that_of_all_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = told(monkeypatch, SLOTS)
    assert figures(LOG) == {"kv_tokens": 8192, "kv_cache_mib": None, "max_model_len": 2048}
    assert figures(LOG.replace("'false'", "'true'"))["kv_tokens"] == 2048
    old = "llama_kv_cache_unified: size =  128.00 MiB (  8192 cells,   8 layers,  4/ 4 seqs)"
    assert figures(old) == {"kv_tokens": 8192, "kv_cache_mib": 128.0, "max_model_len": 2048}
    assert figures("") == {"kv_tokens": None, "kv_cache_mib": None, "max_model_len": 2048}


@pytest.mark.parametrize("page", [None, "no", {}, [], [{}], [3], [{"n_ctx": "x"}], [{"n_ctx": -1}]])
def test_an_odd_page_of_slots_tells_nothing(monkeypatch: pytest.MonkeyPatch, page: object) -> None:
    assert told(monkeypatch, page)("")["max_model_len"] is None
    assert usage(json.dumps(page), is_unified=False) == (None, None)


def test_a_cache_is_used_by_the_slots_that_work() -> None:
    page = json.dumps(SLOTS)
    assert usage(page, is_unified=False) == (pytest.approx(100 * 456 / 4096), None)
    assert usage(page, is_unified=True) == (pytest.approx(100 * 456 / 2048), None)
    older = json.dumps([{**SLOTS[1], "n_prompt_tokens": None, "next_token": {"n_decoded": 40}}])
    assert usage(older, is_unified=False)[0] == pytest.approx(100 * 44 / 2048)
    assert usage("[" * 100_000, is_unified=False) == (None, None)


def test_its_slots_bound_how_many_requests_it_takes() -> None:
    workload = Workload(prompt_tokens=(50, 100), output_tokens=100)
    bounds = engine("-np", "8").bounds({"llm_kv_tokens": 8192}, workload, allocation())
    assert bounds == {"kv_capacity_bound": 8}
    bounds = engine().bounds({"llm_kv_tokens": 500}, workload, allocation(parallel=16))
    assert bounds == {"kv_capacity_bound": 2}
    assert (
        engine().bounds({"llm_kv_tokens": None}, workload, allocation())["kv_capacity_bound"]
        is None
    )


def test_the_longest_request_is_a_slot_of_the_smallest_context() -> None:
    assert engine("-c", "8192").longest_taken({}) == 2048
    assert engine().longest_taken({"ctx_size": (4096, 8192), "parallel": (1, 2)}) == 2048
    assert engine("-c", "8192", "-kvu").longest_taken({}) == 8192
    assert engine().longest_taken({}) is None


def test_prompts_are_token_ids_of_its_file(tmp_path: Path) -> None:
    metadata = {
        "general.architecture": "llama",
        "llama.block_count": 1,
        "llama.embedding_length": 8,
        "llama.feed_forward_length": 8,
        "llama.attention.head_count": 1,
        "llama.context_length": 64,
        "tokenizer.ggml.tokens": ["word"] * 77,
    }
    write_gguf(tmp_path / "m.gguf", metadata)
    known = LlmService(engine="llama_cpp", model=str(tmp_path / "m.gguf"))
    assert llm_engine(known).vocabulary() == 77
    unknown = LlmService(engine="llama_cpp", model=str(tmp_path / "none.gguf"))
    assert llm_engine(unknown).vocabulary() is None


# the ends of real logs of b11434 on a CPU
NO_MEMORY = """\
0.00.443.839 E ggml_aligned_malloc: insufficient memory (attempted to allocate 312500.00 MB)
0.00.443.863 E ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size 3276800
0.00.517.152 E llama_init_from_model: failed to initialize the context: failed to allocate buffer \
for kv cache
0.00.517.596 E srv  llama_server: exiting due to model loading error
"""
NO_FILE = """\
0.00.003.853 E gguf_init_from_file: failed to open GGUF file 'none.gguf' (No such file or directory)
0.00.004.186 E srv  llama_server: exiting due to model loading error
"""
NO_MODEL = """\
0.00.033.864 E gguf_init_from_reader: invalid magic characters: 'hell', expected 'GGUF'
0.00.035.130 E srv          init: exiting due to model loading error
"""


@pytest.mark.parametrize(
    ("log", "failure_class", "part"),
    [
        (NO_MEMORY, "oom_startup", "insufficient memory"),
        (NO_FILE, "setup_error", "failed to open GGUF file"),
        (NO_MODEL, "setup_error", "invalid magic"),
        ("error: invalid argument: --typo\n", "setup_error", "--typo"),
        (
            "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 4096.00 MiB on device 0: "
            "cudaMalloc failed: out of memory\n",
            "oom_startup",
            "cudaMalloc",
        ),
    ],
)
def test_its_failures_have_names(log: str, failure_class: str, part: str) -> None:
    diagnosis = diagnose(log, exit_code=1, phase=FailurePhase.START, service="llm")
    assert diagnosis is not None and diagnosis.failure_class == failure_class
    assert part in diagnosis.evidence


def test_a_healthy_log_is_no_failure() -> None:
    assert diagnose(LOG) is None


def test_an_engine_that_is_not_known_is_said() -> None:
    with pytest.raises(SetupError, match="'other' is none of vllm, llama_cpp"):
        llm_engine(LlmService(engine="other"))
