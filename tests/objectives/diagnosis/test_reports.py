"""Failures as people report them are named with a way out; frightening lines are none."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from objectives.diagnosis.diagnose import diagnose, reason_of
from objectives.diagnosis.patterns import patterns, rules

FIELD = Path(__file__).resolve().parents[4] / "shared/field/logs"

SETUP = {
    "--dtype half": [
        "ValueError: Bfloat16 is only supported on GPUs with compute capability of at least 8.0. "
        "Your Tesla T4 GPU has compute capability 7.5.",
        "ValueError: The quantization method gptq_marlin is not supported for the current GPU. "
        "Minimum capability: 80. Current capability: 61.",
        "RuntimeError: ('Quantization scheme is not supported for ', 'the current GPU. Min "
        "capability: 89. ', 'Current capability: 86.')",
        "ptxas fatal   : Value 'sm_121a' is not defined for option 'gpu-name'",
        "triton.runtime.errors.PTXASError: PTXAS error: Internal Triton PTX codegen error",
        "RuntimeError: FlashAttention only supports Ampere GPUs or newer.",
        "ValueError: torch.bfloat16 is not supported for quantization method awq.",
        "ValueError: Selected backend AttentionBackendEnum.FLASH_ATTN is not valid for this "
        "configuration. Reason: ['compute capability not supported']",
    ],
    "args:": [
        "ValueError: max_num_batched_tokens (2048) is smaller than max_model_len (4096).",
        "ValueError: Unknown quantization method: awq_marlin. Must be one of ['awq', 'gptq'].",
        "ValueError: The input size is not aligned with the quantized weight shape.",
        "ValueError: The number of required GPUs exceeds the total number of available GPUs in "
        "the placement group.",
    ],
    "compute_type": [
        "ValueError: Requested int8_float16 compute type, but the target device or backend do not "
        "support efficient int8_float16 computation.",
        "RuntimeError: cuBLAS failed with status CUBLAS_STATUS_NOT_SUPPORTED",
    ],
    "LD_LIBRARY_PATH": [
        "Unable to load any of {libcudnn_cnn.so.9.1.0, libcudnn_cnn.so.9}",
        "Could not locate cudnn_ops_infer64_8.dll. Please make sure it is in your library path!",
        "RuntimeError: cuDNN version incompatibility: PyTorch was compiled against (9, 1, 0) but "
        "found runtime version (8, 9, 2).",
    ],
    "CUDA_VISIBLE_DEVICES": [
        "ValueError: invalid literal for int() with base 10: 'GPU-8f5c21a0'",
        "AssertionError: Torch not compiled with CUDA enabled",
        "RuntimeError: Unexpected error from cudaGetDeviceCount(). Did you run some cuda functions "
        "before calling NumCudaDevices()? Error 500: named symbol not found",
        "pynvml.NVMLError_LibraryNotFound: NVML Shared Library Not Found",
        "Failed to initialize NVML: GPU access blocked by the operating system",
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
    ],
    "/usr/lib/wsl/lib": [
        "/usr/bin/ld: cannot find -lcuda: No such file or directory",
        "AssertionError: libcuda.so cannot found!",
    ],
    "VLLM_WORKER_MULTIPROC_METHOD": [
        "RuntimeError: Cannot re-initialize CUDA in forked subprocess. To use CUDA with "
        "multiprocessing, you must use the 'spawn' start method",
    ],
    "a build of it that has CUDA": [
        "ValueError: This CTranslate2 package was not compiled with CUDA support",
    ],
    "fit one another": [
        "RuntimeError: operator torchvision::nms does not exist",
        "RuntimeError: Detected that PyTorch and torchvision were compiled with different CUDA "
        "major versions.",
        "AttributeError: module 'torch.library' has no attribute 'custom_op'",
    ],
    "what docker says": [
        'docker: Error response from daemon: Conflict. The container name "/vllm" is already in '
        "use by container 4f.",
        "docker: permission denied while trying to connect to the Docker daemon socket",
    ],
    "listens on that port": [
        "docker: Error response from daemon: driver failed programming external connectivity: Bind "
        "for 0.0.0.0:8000 failed: port is already allocated.",
    ],
    "leave the port to the study": [
        "[Errno 13] error while attempting to bind on address ('0.0.0.0', 80): permission denied",
    ],
    "NCCL_P2P_DISABLE": [
        "(Worker pid=1541060) ERROR 04-14 13:46:59 [multiproc_executor.py:857] RuntimeError: NCCL "
        "error: unhandled system error (run with NCCL_DEBUG=INFO for details)",
        "torch.distributed.DistBackendError: NCCL error in: ../torch/csrc/distributed/c10d/"
        "NCCLUtils.hpp:328, unhandled system error (run with NCCL_DEBUG=INFO for details)",
    ],
    "space on the disk": [
        "OSError: [Errno 122] Disk quota exceeded: '/home/u/.cache/huggingface/hub'",
    ],
    "HF_HOME": ["OSError: [Errno 30] Read-only file system: '/cache/vllm'"],
    "SSL_CERT_FILE": [
        "httpx.ConnectError: [Errno -3] Temporary failure in name resolution",
        "httpx.ConnectError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
        "self-signed certificate in certificate chain",
        "HfHubHTTPError: 429 Client Error: Too Many Requests for url: https://hub/api/models/x/y",
    ],
    "the file that the command names": ["bash: line 1: vllm: command not found"],
    "Container Toolkit": [
        "docker: Error response from daemon: unknown or invalid runtime name: nvidia.",
        "nvidia-container-cli: initialization error: nvml error: driver not loaded: unknown.",
    ],
    "hf auth login": [
        "OSError: You are trying to access a gated repo.",
        "requests.exceptions.HTTPError: 403 Client Error: Forbidden for url: https://hub/x",
    ],
    "hf download": [
        "huggingface_hub.errors.HFValidationError: Repo id must be in the form 'repo_name'",
        "ValueError: Invalid model size 'larg', expected one of: tiny.en, tiny, base.en",
        "ValueError: Unable to open file 'model.bin' in model '/models/whisper'",
        "OSError: Error no file named model.safetensors, or pytorch_model.bin, found in directory "
        "/models/x.",
        "RuntimeError: Cannot find any model weights with `/models/qwen`",
        "ValueError: No supported config format found in /models/x.",
    ],
    "cut or damaged": [
        "safetensors_rust.SafetensorError: Error while deserializing header: "
        "MetadataIncompleteBuffer",
        "safetensors_rust.SafetensorError: Error while deserializing header: incomplete metadata, "
        "file not fully covered",
        "llama_model_load: error loading model: tensor 'blk.3.ffn_up.weight' data is not within "
        "the file bounds, model is corrupted or incomplete",
    ],
    "update the server": [
        "RuntimeError: Unsupported model binary version. This executable supports models with "
        "binary version v6 or below, but the model has binary version v7.",
        "ValueError: 'aimv2' is already used by a Transformers config, pick another name.",
        "llama_model_load: error loading model: unknown model architecture: 'qwen35'",
        "llama_model_load: error loading model: done_getting_tensors: wrong number of tensors; "
        "expected 292, got 291",
        "ValueError: Tokenizer class Qwen9Tokenizer does not exist or is not currently imported.",
        "ValueError: There is no module or parameter named 'lm_head.biases' in Qwen2ForCausalLM",
    ],
    "--trust-remote-code": [
        "ValueError: Loading x/y requires you to execute the configuration file in that repo on "
        "your local machine.",
    ],
    "--shm-size": [
        "misc/shmutils.cc:72 NCCL WARN Error: failed to extend /dev/shm/nccl-x to 9637892 bytes, "
        "error: No space left on device (28)",
        "torch.distributed.DistBackendError: NCCL error: Error while creating shared memory "
        "segment /dev/shm/nccl-WQ",
    ],
    "compiler": [
        "subprocess.CalledProcessError: Command '['ninja', '-v', '-C', '/root/.cache/flashinfer']' "
        "returned non-zero exit status 1.",
        "RuntimeError: Failed to find C compiler. Please specify via CC environment variable.",
    ],
    "driver": [
        "UserWarning: CUDA initialization: The NVIDIA driver on your system is too old (found "
        "version 11040).",
        "Failed to initialize NVML: Driver/library version mismatch",
        "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.9, please update "
        "your driver to a newer version, or use an earlier cuda container: unknown.",
    ],
}

OTHERS = [
    (
        "oom_startup",
        "llm",
        "RuntimeError: NVML_SUCCESS == r INTERNAL ASSERT FAILED at "
        '"../c10/cuda/CUDACachingAllocator.cpp":1131, please report a bug to PyTorch.',
    ),
    ("oom_startup", "llm", "RuntimeError: Not enough memory to handle 8192 total tokens."),
    (
        "host_oom",
        "llm",
        "ray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory.",
    ),
    (
        "killed_unknown",
        "stt",
        "[2025-04-19] [1] [ERROR] Worker (pid:44) was sent SIGKILL! Perhaps out of memory?",
    ),
    ("killed_unknown", "llm", "Loading safetensors checkpoint shards:  50%|#####  | 1/2 Killed"),
    (
        "killed_unknown",
        "stt",
        "systemd[1]: stt.service: Main process exited, code=killed, status=9/KILL",
    ),
    (
        "engine_death",
        "llm",
        "CRITICAL 02-25 11:11:34 launcher.py:101] MQLLMEngine is already dead, "
        "terminating server process",
    ),
    ("engine_death", "llm", "Task finished unexpectedly. This should never happen!"),
    ("engine_death", "llm", "TimeoutError: RPC call to execute_model timed out."),
    ("host_oom", "llm", "earlyoom[612]: sending SIGTERM to process 4242 uid 1000: badness 900"),
    (
        "host_oom",
        "llm",
        "systemd-oomd[700]: Killed /user.slice/app.slice/vllm.scope due to memory pressure for "
        "/user.slice being 62.10% > 50.00%",
    ),
    ("gpu_fault", "llm", "RuntimeError: CUDA error: the launch timed out and was terminated"),
    (
        "oom_startup",
        "stt",
        "onnxruntime::BFCArena::AllocateRawInternal(size_t) Failed to allocate memory for "
        "requested buffer of size 268435456",
    ),
    ("oom_startup", "stt", "ResourceExhaustedError: OOM when allocating tensor with shape[1024]"),
    (
        "oom_startup",
        "llm",
        "[ERROR] CUDA runtime error in ::cudaMallocAsync(ptr, n, mMemPool->getPool(), "
        "mCudaStream->get()): out of memory",
    ),
    (
        "foreign_tenant",
        "stt",
        "RuntimeError: CUDA failed with error CUDA-capable device(s) is/are busy or unavailable",
    ),
]

HARMLESS = [
    "[2026-02-14] Ignore import error when loading sglang.srt.models.x: No module named 'y'",
    "host:1:1 [0] NCCL INFO NET/Plugin: Could not find: libnccl-net.so: cannot open shared object "
    "file: No such file or directory",
    "ERROR 02-25 11:11:34 [weight_utils.py:1] Error retrieving safetensors: Repo id must be in the "
    "form 'repo_name' or 'namespace/repo_name'",
    "UserWarning: an allocation of 2 GiB failed; out of memory is likely",
    "WARNING:root:No module named 'flash_attn'; using the slow path",
    "ERROR 10-12 10:00:00 [gpt_oss_triton_kernels_moe.py:34] Failed to import Triton kernels. "
    "Please make sure your triton version is compatible. Error: No module named 'triton_kernels'",
    "2025-10-01 10:00:00.1 [E:onnxruntime:Default, provider_bridge_ort.cc:1992 "
    "TryGetProviderInfo_CUDA] Failed to load library libonnxruntime_providers_cuda.so with error: "
    "libcublasLt.so.12: cannot open shared object file: No such file or directory",
    "E0000 00:00:1730.1 cuda_dnn.cc:8310] Unable to register cuDNN factory: Attempting to register "
    "factory for plugin cuDNN when one has already been registered",
    "[W1012 socket.cpp:759] [c10d] The IPv6 network addresses of (h, 41123) cannot be retrieved "
    "(gai error: -3 - Temporary failure in name resolution).",
    "WARNING 11-20 10:00:00 [interface.py:470] Using 'pin_memory=False' as WSL is detected.",
]


@pytest.mark.parametrize(
    ("way_out", "line"), [(way, line) for way, lines in SETUP.items() for line in lines]
)
def test_what_no_candidate_would_be_spared_stops_the_study_with_a_way_out(
    way_out: str, line: str
) -> None:
    diagnosis = diagnose(line, exit_code=1)
    assert diagnosis is not None and diagnosis.failure_class == "setup_error"
    assert diagnosis.way_out is not None and way_out in diagnosis.way_out
    assert diagnosis.evidence == line[:300]


def test_every_set_up_error_has_a_way_out() -> None:
    setup = [rule for rule in rules() if rule.failure_class == "setup_error"]
    assert len(setup) > 15 and all(rule.way_out for rule in setup)
    assert not any(isinstance(entry, dict) and "way_out" in entry for entry in patterns()["rules"])


RAISED = "ValueError: the 3 heads of this model do not fit what was asked"


def test_an_exception_that_ended_python_before_it_was_ready_is_no_engine_death() -> None:
    log = (
        f"(EngineCore pid=7) ERROR 11-02 10:11:12 [core.py:700] {RAISED}\n"
        "RuntimeError: Engine core initialization failed. See root cause above.\n"
    )
    for text, evidence in ((log, log.splitlines()[0]), (f"{RAISED}\n", RAISED)):
        diagnosis = diagnose(text, exit_code=1, service="llm")
        assert diagnosis is not None and diagnosis.failure_class == "setup_error"
        assert diagnosis.evidence == evidence and "mend what it says" in str(diagnosis.way_out)
    ready = "INFO:     Application startup complete.\n"
    others = ((log, -9), (RAISED, None), (RAISED + ready, 1), (ready + RAISED, 1))
    classes = [
        None if d is None else d.failure_class
        for d in (diagnose(text, exit_code=code, service="llm") for text, code in others)
    ]
    assert classes == ["killed_unknown", None, "engine_death", "engine_death"]
    memory = diagnose(f"{RAISED}\ntorch.OutOfMemoryError: CUDA out of memory.", exit_code=1)
    assert memory is not None and memory.failure_class == "oom_startup"


def test_a_model_that_an_old_library_does_not_know_is_named_by_its_last_line() -> None:
    log = (
        '  File "/v/transformers/models/auto/configuration_auto.py", line 721, in __getitem__\n'
        "    raise KeyError(key)\n"
        "KeyError: 'gemma9'\n"
    )
    diagnosis = diagnose(log, exit_code=1)
    assert diagnosis is not None and diagnosis.evidence == "KeyError: 'gemma9'"
    assert "update the server" in str(diagnosis.way_out)


def test_what_paddle_lacks_is_read() -> None:
    line = (
        "Out of memory error on GPU 0. Cannot allocate 512.000000MB memory on GPU 0, "
        "11.500000GB memory has been allocated and available memory is only 260.000000MB."
    )
    diagnosis = diagnose(line, service="stt")
    assert diagnosis is not None
    assert (diagnosis.failure_class, diagnosis.deficit_mib) == ("oom_startup", 252.0)


@pytest.mark.parametrize(("failure_class", "service", "line"), OTHERS)
def test_a_reported_failure_has_its_class(failure_class: str, service: str, line: str) -> None:
    diagnosis = diagnose(line, service=service)
    assert diagnosis is not None and diagnosis.failure_class == failure_class


@pytest.mark.parametrize("line", HARMLESS)
def test_a_frightening_line_of_a_healthy_server_is_no_failure(line: str) -> None:
    assert diagnose(f"{line}\nINFO:     Application startup complete.\n") is None
    assert diagnose(line) is None


FAILED_REQUEST = 'INFO:     127.0.0.1:1 - "POST /v1/audio/transcriptions HTTP/1.1" 500 Internal'


@pytest.mark.parametrize(
    "reason",
    [
        "av.error.InvalidDataError: [Errno 1094995529] Invalid data found when processing input",
        "ValueError: 'xx' is not a valid language code",
        "RuntimeError: Failed to load audio: ffmpeg version 4.4",
    ],
)
def test_a_failed_request_of_speech_is_memory_only_where_the_log_gives_no_other_reason(
    reason: str,
) -> None:
    ready = "INFO:     Application startup complete."
    unexplained = diagnose(f"{ready}\n{FAILED_REQUEST}\n", service="stt")
    explained = diagnose(f"{ready}\n{FAILED_REQUEST}\nERROR: in app\n{reason}\n", service="stt")
    assert unexplained is not None and unexplained.failure_class == "oom_runtime_stt"
    assert explained is not None and explained.failure_class == "stt_wrong"
    assert explained.evidence == reason
    assert diagnose(f"{ready}\n{reason}\n", service="stt") is None, "nothing failed"
    assert reason_of(f'HTTP 500: {{"detail": "{reason}"}}', "transcription")
    assert not reason_of("HTTP 500: Internal Server Error", "transcription")


def test_the_evidence_is_the_message_and_not_the_source_line_that_raised_it() -> None:
    head = "(EngineCore pid=9) ERROR 10-25 13:08:43 [core.py:708] "
    log = (
        f'{head}  File "kv_cache_utils.py", line 699, in check\n'
        f'{head}    raise ValueError("No available memory for the cache blocks. "\n'
    )
    message = f"{head}ValueError: No available memory for the cache blocks. Try increasing\n"
    whole, cut = diagnose(log + message), diagnose(log)
    assert whole is not None and whole.evidence == message.strip()
    assert cut is not None and cut.failure_class == "kv_too_small", "its last line is lost"


@pytest.mark.parametrize("width", [61, 75])
def test_a_line_that_a_terminal_broke_is_read(width: int) -> None:
    message = (
        "(EngineCore pid=316) ValueError: To serve at least one request with the model's max seq "
        "len (100000), (4.26 GiB KV cache is needed, which is larger than the available KV cache "
        "memory (4.25 GiB). Based on the available memory, the estimated maximum is 99840."
    )
    log = "\n".join(message[n : n + width] for n in range(0, len(message), width))
    diagnosis = diagnose(log, exit_code=1)
    assert diagnosis is not None and diagnosis.failure_class == "kv_too_small"
    assert diagnosis.deficit_mib == 10.24


@pytest.mark.skipif(not FIELD.is_dir(), reason="../shared does not lie beside this repository")
def test_every_excerpt_from_the_field_has_its_class() -> None:
    with (FIELD / "expected.tsv").open() as file:
        expected = list(csv.DictReader(file, delimiter="\t"))
    wrong = []
    for row in expected:
        text = (FIELD / row["file"]).read_text(errors="replace")
        status, service = row["exit_code"], row["service"]
        diagnosis = diagnose(
            text,
            exit_code=None if status == "-" else int(status),
            service=None if service == "-" else service,
        )
        name = diagnosis.failure_class if diagnosis else "none"
        if name not in row["class"].split("|"):
            wrong.append((row["file"], row["class"], name))
    assert len(expected) > 50 and wrong == []
