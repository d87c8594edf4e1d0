r"""Checks, on a real NVIDIA GPU, that memory is seen and failures are named as they are.

    ALLOCATION_TEST_GPU=0 ALLOCATION_TEST_LOGS=/tmp/logs \
        python3 -m pytest -m gpu tests/test_gpu.py -x -q -n 0

It is the right card, memory is seen as it moves, and real out-of-memory of both services gets its
right name. ALLOCATION_TEST_GPU is an index or a UUID (default: the first card); the logs of all
servers are copied to ALLOCATION_TEST_LOGS. It needs faster-whisper and vLLM beside this Python, and
the models of scripts/make_models.py.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
import uuid
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest

from objectives.allocation import SHARE, SPEECH, Allocation
from objectives.devices.device_set import device_set, env_of
from objectives.devices.nvidia_gpu import every_gpu
from objectives.devices.open_device import open_device
from objectives.devices.telemetry import watching
from objectives.engines.faster_whisper.stt import FasterWhisper
from objectives.engines.places import Place
from objectives.engines.registry import engine_of
from objectives.engines.vllm.llm import Vllm
from objectives.errors import Disturbed, OutOfMemory, SetupError
from objectives.load.generator import Generator
from objectives.load.open_loop import drive
from objectives.on_demand import sleeping
from objectives.plain_data.units import MIB
from objectives.servers import blame
from objectives.servers.blame import Suspects, failed_load
from objectives.servers.lineup import Lineup
from objectives.servers.tenants import Tenant, holding
from objectives.services import LlmService, OtherService, SttService
from objectives.traffic.clips import read_clips
from objectives.traffic.workload import Request
from study.spec.choices import APIS

pytestmark = pytest.mark.gpu

MODELS = Path(__file__).resolve().parents[1] / ".servers" / "models"
SIZES = {"tiny.en": "tiny.en", "base": "base", "small": "small-random"}
STT = SttService(
    models={size: str(MODELS / "whisper" / folder) for size, folder in SIZES.items()},
    compute_type="float16",
    random_weights=("small",),
)
# CTranslate2 may keep what a request freed for the next one; with these variables each request
# takes its memory anew.
UNCACHED = {"CT2_CUDA_ALLOCATOR": "cub_caching", "CT2_CUDA_CACHING_ALLOCATOR_CONFIG": "4,3,12,0"}
LIMITS = ("--max-model-len", "4096", "--max-num-seqs", "64", "--max-num-batched-tokens", "4096")
LLM = LlmService(
    model=str(MODELS / "llm-7b"),
    args=("--load-format", "dummy", "--enforce-eager", *LIMITS),
    env={"VLLM_WORKER_MULTIPROC_METHOD": "fork"},
    start_timeout_s=300.0,
)
CLIPS = read_clips("assistant")
BACK_MIB, BACK_S = 300.0, 20.0
CONTEXT_MIB = 1024  # a process that holds GPU memory holds a CUDA context too, about half of this
KNOWN_MIB, STRANGE_MIB, BRIEF_MIB = 4096, 8192, 4096

SEEN = """
import ctypes, uuid
cuda = ctypes.CDLL("libcuda.so.1")
count, device, size = ctypes.c_int(), ctypes.c_int(), ctypes.c_size_t()
raw = (ctypes.c_ubyte * 16)()
assert cuda.cuInit(0) == 0
assert cuda.cuDeviceGetCount(ctypes.byref(count)) == 0
for number in range(count.value):
    assert cuda.cuDeviceGet(ctypes.byref(device), number) == 0
    assert cuda.cuDeviceGetUuid_v2(raw, device) == 0
    assert cuda.cuDeviceTotalMem_v2(ctypes.byref(size), device) == 0
    print(uuid.UUID(bytes=bytes(raw)), size.value)
"""


@pytest.fixture(scope="module")
def gpu():
    return open_device(os.environ.get("ALLOCATION_TEST_GPU", "cuda"))


@pytest.fixture(autouse=True)
def memory_proven_back(gpu, request, tmp_path):
    """Check after every test that what was free is free again; keep the servers' logs."""
    before_mib = gpu.sample().free_mib
    yield
    if logs := os.environ.get("ALLOCATION_TEST_LOGS"):
        Path(logs).mkdir(parents=True, exist_ok=True)
        for file in sorted(tmp_path.iterdir()):
            if file.suffix in (".log", ".exit"):
                shutil.copy(file, Path(logs) / f"{request.node.name}-{file.name}")
    comes_back(gpu, before_mib)


def comes_back(gpu, before_mib):
    deadline = time.monotonic() + BACK_S
    while (
        free_mib := gpu.sample().free_mib
    ) < before_mib - BACK_MIB and time.monotonic() < deadline:
        time.sleep(0.25)
    held = [f"{o.pid} {o.command[:60]} {o.mib}" for o in gpu.occupants()]
    assert free_mib >= before_mib - BACK_MIB, (
        f"{before_mib:,.0f} MiB were free, now {free_mib:,.0f}; {held}"
    )


@pytest.fixture(scope="module")
def context_mib(gpu, tmp_path_factory):
    """Return what a ballast takes beside the memory it was asked for, MiB."""
    before_mib = gpu.sample().free_mib
    with holding([Tenant(name="probe", mib=64)], gpu, tmp_path_factory.mktemp("probe")):
        taken_mib = before_mib - gpu.sample().free_mib - 64
    comes_back(gpu, before_mib)
    return taken_mib


@pytest.fixture
def say(capsys):
    """Return what prints evidence for the one who runs this, also where the test passes."""

    def show(line):
        with capsys.disabled():
            print(f"\n  {line}", flush=True)

    return show


@pytest.fixture
def a_7b_fits(gpu):
    if not (MODELS / "llm-7b").is_dir():
        pytest.skip(f"no {MODELS / 'llm-7b'}; run: python scripts/make_models.py --help")
    if importlib.util.find_spec("vllm") is None:
        pytest.skip(f"{sys.executable} has no vLLM")
    if gpu.identity.total_mib < 70_000:
        total = f"{gpu.identity.total_mib:,.0f} MiB"
        pytest.skip(f"its shares are meant for a card of 80 GB; this one has {total}")


@contextmanager
def filled(gpu, folder, context_mib, leave_mib):
    """Let another process take all but `leave_mib`, and yield what is then free, MiB.

    It leaves as little more as the driver makes it.
    """
    with ExitStack() as stack:
        for spared_mib in range(0, 512, 32):
            mib = int(gpu.sample().free_mib - context_mib - leave_mib - spared_mib)
            try:
                stack.enter_context(holding([Tenant(name="filler", mib=mib)], gpu, folder))
            except SetupError:
                continue
            yield gpu.sample().free_mib
            return
        pytest.fail(
            f"no ballast of {mib:,} MiB could be held: {(folder / 'tenant-filler.log').read_text()}"
        )


def start_stt(pair, size, log, **env):
    engine = FasterWhisper(replace(STT, env=env))
    command = engine.command(Allocation({SHARE: 0.4, SPEECH: size}), env_of(pair.devices_of(None)))
    return pair.start(
        "stt", "transcription", command, partial(engine.is_ready, clip=CLIPS[0]), log, {}
    )


def start_llm(pair, share, log):
    engine = Vllm(LLM)
    command = engine.command(
        Allocation({SHARE: share, SPEECH: "tiny.en"}), env_of(pair.devices_of(None))
    )
    return pair.start("llm", "completions", command, engine.is_ready, log, {})


def load(suspects, requests):
    """Send the requests through the real exchange.

    Returns the failure with the diagnosis of what went wrong, and what the client saw.
    """
    engines = (FasterWhisper(STT), Vllm(LLM))
    endpoints = {e.name: e.endpoint(suspects.servers[e.name].url) for e in engines}
    with Generator() as generator:
        window = drive(
            generator, endpoints, CLIPS, requests, timeout_s=60.0, broken=suspects.broken
        )
    assert window.aborted is not None, f"nothing went wrong: {[r.error for r in window.replies]}"
    return failed_load(suspects, window.aborted), window.aborted


# the card


def test_a_uuid_names_the_same_card_and_its_servers_see_no_other(gpu, say):
    named = open_device(gpu.identity.uuid)
    assert named.identity == gpu.identity
    env = {**os.environ, **named.server_env}
    process = subprocess.run(
        [sys.executable, "-c", SEEN],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    [(card, size)] = [line.split() for line in process.stdout.splitlines()]
    total_mib = int(size) / MIB
    say(f"{gpu.identity}; CUDA sees {card} of {total_mib:,.0f} MiB under {dict(named.server_env)}")
    assert uuid.UUID(card) == uuid.UUID(gpu.identity.uuid.partition("-")[2])
    assert gpu.identity.total_mib == pytest.approx(total_mib, rel=0.005)


def test_samples_come_at_20_hz_and_see_what_was_held_for_half_a_second(gpu, tmp_path, say):
    with watching(gpu) as watch:
        time.sleep(2.0)
        quiet = list(watch.samples)
        before_mib = gpu.sample().free_mib
        with holding([Tenant(name="brief", mib=BRIEF_MIB)], gpu, tmp_path):
            time.sleep(0.5)
        time.sleep(0.5)
    rate_hz = (len(quiet) - 1) / (quiet[-1].at_s - quiet[0].at_s)
    peak_mib = before_mib - min(s.free_mib for s in watch.samples)
    full = [s for s in watch.samples if before_mib - s.free_mib >= BRIEF_MIB]
    gaps = [b.at_s - a.at_s for a, b in zip(watch.samples, watch.samples[1:], strict=False)]
    say(
        f"{rate_hz:.1f} Hz; longest gap {max(gaps):.3f} s; "
        f"{len(full)} samples saw the peak of {peak_mib:,.0f} MiB"
    )
    assert rate_hz >= 20
    assert BRIEF_MIB <= peak_mib <= BRIEF_MIB + CONTEXT_MIB
    assert len(full) >= 5


# neighbours


def test_a_tenant_is_expected_and_an_unknown_process_is_named(gpu, tmp_path, monkeypatch, say):
    monkeypatch.setattr(blame, "PATIENCE_S", 1.0)
    before_mib = gpu.sample().free_mib
    with holding([Tenant(name="known", mib=KNOWN_MIB)], gpu, tmp_path):
        beside_mib = gpu.sample().free_mib
        say(f"a tenant of {KNOWN_MIB:,} MiB takes {before_mib - beside_mib:,.0f}")
        assert KNOWN_MIB - 2 <= before_mib - beside_mib <= KNOWN_MIB + CONTEXT_MIB
        with closing(Lineup(device_set(gpu), reserve_mib=512.0)) as pair:
            say(f"speech beside it: {start_stt(pair, 'tiny.en', tmp_path / 'stt.log')}")
            pair.stop("stt")
            with holding([Tenant(name="stranger", mib=STRANGE_MIB)], gpu, tmp_path) as strangers:
                with pytest.raises(Disturbed) as caught:
                    start_stt(pair, "tiny.en", tmp_path / "never.log")
                pids = [p.pid for p in psutil.Process(strangers["stranger"].pid).children()]
                listed = [o for o in gpu.occupants() if o.pid in pids and o.mib is not None]
            diagnosis = caught.value.diagnosis
            say(f"{diagnosis}; NVML tells {'its pid' if listed else 'no pid of this container'}")
            assert (diagnosis.failure_class, diagnosis.phase) == ("foreign_tenant", "precheck")
            assert STRANGE_MIB - BACK_MIB <= diagnosis.deficit_mib <= STRANGE_MIB + CONTEXT_MIB
            assert not (tmp_path / "never.log").exists()
            assert all(f"largest process: {o.pid} " in diagnosis.evidence for o in listed)
        comes_back(gpu, beside_mib)
    comes_back(gpu, before_mib)


# speech


def test_speech_without_room_at_its_start_is_oom_startup(gpu, tmp_path, context_mib, say):
    with (
        filled(gpu, tmp_path, context_mib, context_mib + 64) as free_mib,
        closing(Lineup(device_set(gpu), reserve_mib=512.0)) as pair,
    ):
        with pytest.raises(OutOfMemory) as caught:
            start_stt(pair, "small", tmp_path / "stt.log")
        diagnosis = caught.value.diagnosis
        say(f"{free_mib:,.0f} MiB free: {diagnosis}")
        assert (diagnosis.failure_class, diagnosis.victim, diagnosis.phase) == (
            "oom_startup",
            "stt",
            "start",
        )
        comes_back(gpu, free_mib)


def test_speech_without_room_under_load_is_oom_runtime_stt(gpu, tmp_path, context_mib, fake, say):
    with closing(Lineup(device_set(gpu), reserve_mib=512.0)) as pair:
        say(f"speech: {start_stt(pair, 'small', tmp_path / 'stt.log', **UNCACHED)}")
        suspects = Suspects({"stt": pair.server("stt"), "llm": fake()}, APIS, {})
        with filled(gpu, tmp_path, context_mib, 0.0) as free_mib:
            failed, symptom = load(suspects, [Request("stt", 0.1 * n, clip=n) for n in range(8)])
        say(f"{free_mib:,.0f} MiB free: {str(symptom)[:200]} -> {failed.diagnosis}")
        assert symptom.error.status == 507
        assert str(symptom).startswith("stt: HTTP 507")
        assert isinstance(failed, OutOfMemory)
        assert (failed.diagnosis.failure_class, failed.diagnosis.victim) == (
            "oom_runtime_stt",
            "stt",
        )
        assert failed.diagnosis.phase == "load"
        assert pair.server("stt").alive


# the LLM


@pytest.mark.usefixtures("a_7b_fits")
def test_a_share_that_is_not_free_is_oom_budget(gpu, tmp_path, say):
    with (
        holding([Tenant(name="half", share=0.5)], gpu, tmp_path),
        closing(Lineup(device_set(gpu), reserve_mib=512.0)) as pair,
    ):
        with pytest.raises(OutOfMemory) as caught:
            start_llm(pair, 0.60, tmp_path / "llm.log")
        diagnosis = caught.value.diagnosis
        say(f"0.60 with {pair.free_at_rest_mib[gpu.identity.uuid]:,.0f} MiB free: {diagnosis}")
        assert (diagnosis.failure_class, diagnosis.victim, diagnosis.phase) == (
            "oom_budget",
            "llm",
            "start",
        )
        lacking_mib = 0.60 * gpu.identity.total_mib - pair.free_at_rest_mib[gpu.identity.uuid]
        assert diagnosis.deficit_mib == pytest.approx(
            lacking_mib, abs=CONTEXT_MIB
        )  # vLLM counts its own context
        comes_back(gpu, pair.free_at_rest_mib[gpu.identity.uuid])


@pytest.mark.usefixtures("a_7b_fits")
def test_a_share_below_the_weights_is_kv_too_small(gpu, tmp_path, say):
    with closing(Lineup(device_set(gpu), reserve_mib=512.0)) as pair:
        with pytest.raises(OutOfMemory) as caught:
            share = round(12_160 / gpu.identity.total_mib, 3)  # for weights of 13.5 GiB
            start_llm(pair, share, tmp_path / "llm.log")
        diagnosis = caught.value.diagnosis
        say(f"{share} with {pair.free_at_rest_mib[gpu.identity.uuid]:,.0f} MiB free: {diagnosis}")
        assert (diagnosis.failure_class, diagnosis.victim, diagnosis.phase) == (
            "kv_too_small",
            "llm",
            "start",
        )


@pytest.mark.usefixtures("a_7b_fits")
def test_an_llm_without_room_under_load_is_oom_runtime_llm(gpu, tmp_path, context_mib, say):
    with closing(Lineup(device_set(gpu), reserve_mib=512.0)) as pair:
        started = start_stt(pair, "tiny.en", tmp_path / "stt.log")
        started |= start_llm(pair, 0.40, tmp_path / "llm.log")
        suspects = Suspects({s: pair.server(s) for s in APIS}, APIS, {})
        prompts = [
            Request("llm", 0.0, prompt_tokens=2_500, output_tokens=64, seed=n) for n in range(32)
        ]
        with filled(gpu, tmp_path, context_mib, 96.0) as free_mib:
            failed, symptom = load(suspects, prompts)
            deadline = time.monotonic() + 10
            while suspects.servers["llm"].alive and time.monotonic() < deadline:
                time.sleep(0.25)
        say(f"{started}; {free_mib:,.0f} MiB free: {str(symptom)[:200]} -> {failed.diagnosis}")
        llm, stt = suspects.servers["llm"], suspects.servers["stt"]
        say(f"the LLM server's exit status: {llm.exit_code}; speech runs: {stt.alive}")
        assert isinstance(failed, OutOfMemory)
        assert (failed.diagnosis.failure_class, failed.diagnosis.victim) == (
            "oom_runtime_llm",
            "llm",
        )
        assert failed.diagnosis.phase == "load"
        assert not suspects.servers["llm"].alive
        pair.stop("llm", "stt")
        comes_back(gpu, pair.free_at_rest_mib[gpu.identity.uuid])


# a service that sleeps


SLEEPY = {"resident": False, "woken_by": "front", "sleep_mode": True, "idle_s": 3600.0}
EMBED = OtherService(
    api="embeddings",
    engine="vllm",
    model=LLM.model,
    args=("--load-format", "dummy", "--enforce-eager", "--max-model-len", "4096"),
    env=LLM.env,
    start_timeout_s=300.0,
)


@pytest.mark.usefixtures("a_7b_fits")
@pytest.mark.parametrize("service", [EMBED, LLM], ids=["embed", "llm"])
def test_vllm_in_its_sleep_mode_gives_its_memory_back_and_is_woken(service, gpu, tmp_path, say):
    """Its process stays, with the weights in the host's memory."""
    name = "llm" if service is LLM else "embed"
    engine = engine_of(name, replace(service, **SLEEPY))
    share = round((16384 + 4096) / gpu.identity.total_mib, 3)  # 7B of bfloat16, and some KV cache
    allocation = Allocation(
        {SHARE: share, SPEECH: "tiny.en", "embed.gpu_memory_utilization": share}
    )
    command = engine.command(allocation, gpu.server_env)
    ready = partial(engine.is_ready, clip=CLIPS[0])
    with closing(Lineup(device_set(gpu), reserve_mib=512.0)) as lineup:
        log = tmp_path / f"{name}.log"
        started = lineup.start(name, engine.api, command, ready, log, {})
        url = lineup.server(name).url
        for _ in range(2):
            asleep = lineup.put_to_sleep(name)
            assert asleep[f"{name}_asleep_mib"] < 0.2 * started[f"{name}_memory_mib"]
            free_mib = gpu.sample().free_mib
            assert ready(url, 60.0)
            assert free_mib - gpu.sample().free_mib > 0.7 * started[f"{name}_memory_mib"]
        state = sleeping.state(url)
        say(f"{started}, {asleep}, starts {state and state.starts_s}")
        assert state is not None and state.is_awake and len(state.starts_s) == 3


# a set


@pytest.fixture
def other(gpu):
    """Return a second card of this host, whose memory must be free again too."""
    whole = (uuid for uuid in every_gpu() if not uuid.startswith("MIG"))
    second = next((uuid for uuid in whole if uuid != gpu.identity.uuid), None)
    if second is None:
        pytest.skip("fewer than two GPUs here")
    card = open_device(second)
    before_mib = card.sample().free_mib
    yield card
    comes_back(card, before_mib)


def test_an_llm_on_two_cards_has_its_share_of_each_and_names_the_full_one(
    gpu, other, a_7b_fits, context_mib, tmp_path, say
):
    # without NVLink's multicast, which lent machines lack
    service = replace(LLM, place="gpu0+gpu1", env={**LLM.env, "NCCL_NVLS_ENABLE": "0"})
    engine, both = Vllm(service), Place("gpu0+gpu1")
    devices = {"gpu0": gpu, "gpu1": other}
    share = (16384 + 4096) / gpu.identity.total_mib  # half of a 7B's weights, and a KV cache
    allocation = Allocation({SHARE: round(share, 3), SPEECH: "tiny.en"})
    command = engine.command(allocation, env_of([gpu, other]))
    assert command.env["CUDA_VISIBLE_DEVICES"].count(",") == 1
    begin = partial(Lineup.start, service="llm", api=engine.api, command=command, place=both)
    with closing(Lineup(devices, reserve_mib=512.0)) as lineup:
        log = tmp_path / "llm.log"
        begin(lineup, ready=engine.is_ready, log=log, measured={})
        taken_mib = {name: lineup.spread_mib(name)["llm"] for name in devices}
        server = lineup.server("llm")
        figures = engine.figures(server.url, server.log_text())
    say(f"a share of {share:.3f} takes {taken_mib}; {figures}")
    for name, mib in taken_mib.items():
        asked_mib = share * devices[name].identity.total_mib
        assert 0.9 * asked_mib < mib < asked_mib + 4096
    assert figures["kv_cache_mib"] > 8192  # of weights each card holds a half
    with (
        filled(other, tmp_path, context_mib, 8192),
        closing(Lineup(devices, reserve_mib=512.0)) as lineup,
        pytest.raises(OutOfMemory) as caught,
    ):
        begin(lineup, ready=engine.is_ready, log=tmp_path / "full.log", measured={})
    diagnosis = caught.value.diagnosis
    say(f"{diagnosis.failure_class}: {diagnosis.evidence}")
    assert diagnosis.failure_class == "oom_budget"
    assert diagnosis.evidence.startswith("gpu1: ")
