"""Servers beside those of a turn become services of the spec, or stay tenants, and say why."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from processes.commands import run_study
from rigs.unit_texts import read

from objectives.services import OtherService
from study.deploy.config.load import load_deployment
from study.init_spec.init_spec import InitOptions, write_files
from study.init_spec.places import places_of
from study.init_spec.roles import UnitServices
from study.init_spec.write_deployment import deployment_of
from study.init_spec.write_spec import spec_of
from study.spec.load import load

BESIDE = {
    "/opt/e/bin/infinity_emb v2 --model-id org/minilm --batch-size 32": (
        "embed",
        "embeddings",
        "/opt/e/bin/infinity_emb v2 --model-id org/minilm --served-model-name model "
        "--url-prefix /v1 --batch-size {embed.batch_size} --host 127.0.0.1 --port {port}",
    ),
    "/usr/bin/docker run --gpus all ghcr.io/huggingface/text-embeddings-inference:1 "
    "--model-id org/bge-m3": (
        "embed",
        "embeddings",
        "docker run --rm --gpus=all --network=host ghcr.io/huggingface/"
        "text-embeddings-inference:1 --model-id org/bge-m3 --hostname 127.0.0.1 --port {port}",
    ),
    "/usr/bin/docker run --gpus all -p 8880:8880 ghcr.io/remsky/kokoro-fastapi-gpu:v1": (
        "tts",
        "speech",
        "docker run --rm --gpus=all --publish=127.0.0.1:{port}:8880 "
        "ghcr.io/remsky/kokoro-fastapi-gpu:v1",
    ),
    "/opt/t/bin/local-tts --host 0.0.0.0 --port 8311": (
        "tts",
        "speech",
        "/opt/t/bin/local-tts --host 127.0.0.1 --port {port}",
    ),
}


@pytest.mark.parametrize("start", BESIDE)
def test_a_third_service_becomes_an_entry_of_services(folder: Path, start: str) -> None:
    name, api, command = BESIDE[start]
    services = read(folder, "a.service", f"ExecStart={start}", "llm.service", "stt.service")
    [beside] = services.beside
    assert (beside.name, beside.api, beside.command) == (name, api, command)
    assert spec_of("my", places_of(services, None), services, None)["services"][name]["api"] == api


SECOND = {
    "/opt/v/bin/vllm serve org/coder --gpu-memory-utilization 0.2 --max-model-len 2048": (
        {"engine": "vllm", "model": "org/coder", "args": ["--max-model-len", "2048"]},
        {"llm2.gpu_memory_utilization": 0.2},
    ),
    "/opt/l/llama-server -m /m/small.gguf -c 8192 --port 8088": (
        {"engine": "llama_cpp", "model": "/m/small.gguf", "program": "/opt/l/llama-server"},
        {"llm2.ctx_size": 8192},
    ),
    "/usr/bin/docker run --gpus all vllm/vllm-openai --model org/coder "
    "--gpu-memory-utilization 0.2": (
        {"health_path": "/health"},
        {"llm2.gpu_memory_utilization": 0.2},
    ),
}


@pytest.mark.parametrize("start", SECOND)
def test_a_second_llm_becomes_an_entry_of_services(folder: Path, start: str) -> None:
    own, today = SECOND[start]
    services = read(folder, "z.service", f"ExecStart={start}", "llm.service", "stt.service")
    entry = checked(folder, services, "llm2", today)
    assert {k: entry.get(k) for k in own} == own and entry["api"] == "completions"
    assert services.llm.model == "org/m"
    if "command" in entry:
        assert "{llm2.gpu_memory_utilization}" in entry["command"]
    assert any("is llm2, beside llm.service" in note for note in services.notes)


def checked(
    folder: Path, services: UnitServices, name: str, today: dict[str, Any]
) -> dict[str, Any]:
    """Return the entry of a service in the spec, which the study reads and which searches these."""
    spec = spec_of("my", places_of(services, None), services, None)
    assert spec["baseline"].items() >= today.items()
    assert all(value in spec["search_space"][option] for option, value in today.items())
    file = folder / "my.yaml"
    file.write_text(yaml.safe_dump({k: v for k, v in spec.items() if v is not None}))
    loaded = load(file, is_here=False)
    assert isinstance(loaded.services[name], OtherService)
    return dict(spec["services"][name])


V = "/opt/v/bin/vllm serve"
OF_VLLM = {
    f"{V} org/bge-m3 --runner pooling --gpu-memory-utilization 0.1 --dtype float32": (
        "embed",
        {"api": "embeddings", "model": "org/bge-m3", "args": ["--dtype", "float32"]},
        0.1,
    ),
    f"{V} org/bge-reranker-v2-m3": ("rerank", {"api": "rerank", "args": []}, 0.92),
    "/opt/v/bin/python -m vllm.entrypoints.openai.api_server --model=org/r --task=score "
    "--gpu_memory_utilization=.2 --api-key hidden": (
        "rerank",
        {"model": "org/r", "args": ["--convert", "classify"]},
        0.2,
    ),
    f"{V} openai/whisper-small --gpu-memory-utilization 0.1 --served-model-name w": (
        "stt2",
        {"api": "transcription", "model": "openai/whisper-small", "args": []},
        0.1,
    ),
    f"{V} --config HERE/c.yaml": (
        "embed",
        {"api": "embeddings", "model": "org/e5-x", "args": ["--max-model-len", "512"]},
        0.07,
    ),
}


OF_LLAMA_CPP = {
    "/opt/l/llama-server -m /m/e5.gguf -c 4096 -ngl 9 --embeddings --pooling mean --port 8088": (
        "embed",
        {"api": "embeddings", "args": ["-ngl", "9", "--pooling", "mean"]},
    ),
    "/opt/l/llama-server -m /m/bge.gguf --ctx-size=4096 --rerank --alias r": (
        "rerank",
        {"api": "rerank", "args": []},
    ),
}


@pytest.mark.parametrize("start", OF_LLAMA_CPP)
def test_llama_cpp_beside_the_turn_is_the_engine_of_a_service_with_its_context(
    folder: Path, start: str
) -> None:
    name, own = OF_LLAMA_CPP[start]
    services = read(folder, "z.service", f"ExecStart={start}", "llm.service", "fw.service")
    entry = checked(folder, services, name, {f"{name}.ctx_size": 4096})
    own = {"engine": "llama_cpp", "program": "/opt/l/llama-server", **own}
    assert {k: entry.get(k) for k in own} == own and "command" not in entry
    [beside] = services.beside
    assert beside.flags[f"{name}.ctx_size"] in ("-c", "--ctx-size")


@pytest.mark.parametrize("start", OF_VLLM)
def test_vllm_beside_the_turn_is_the_engine_of_a_service_with_its_share(
    folder: Path, start: str
) -> None:
    name, own, share = OF_VLLM[start]
    (folder / "c.yaml").write_text(
        "model: org/e5-x\nrunner: pooling\nmax-model-len: 512\ngpu-memory-utilization: 0.07\n"
    )
    services = read(folder, "z.service", f"ExecStart={start}", "llm.service", "fw.service")
    option = f"{name}.gpu_memory_utilization"
    entry = checked(folder, services, name, {option: share})
    own = {"engine": "vllm", "python": "/opt/v/bin/python", **own}
    assert {k: entry.get(k) for k in own} == own and "command" not in entry
    made, _ = deployment_of("my", "cuda", services, None)
    deployed = made["services"][name] if made else {}
    assert deployed["set"][option]["flag"] == "--gpu-memory-utilization"
    assert deployed["restart_always"] is True and deployed["probe"]["kind"] == entry["api"]


def test_vllm_beside_the_turn_in_a_container_keeps_its_command_and_its_share_is_searched(
    folder: Path,
) -> None:
    start = "ExecStart=/usr/bin/docker run --gpus all -p 8002:8000 vllm/vllm-openai --model "
    start += "org/bge-m3 --runner pooling --gpu-memory-utilization 0.1"
    services = read(folder, "z.service", start, "llm.service", "stt.service")
    entry = checked(folder, services, "embed", {"embed.gpu_memory_utilization": 0.1})
    assert entry["command"] == (
        "docker run --rm --gpus=all --network=host vllm/vllm-openai --model org/bge-m3 "
        "--served-model-name model --host 127.0.0.1 --port {port} --gpu-memory-utilization "
        "{embed.gpu_memory_utilization} --runner pooling"
    )


def test_what_overrides_a_share_beside_the_turn_stays_a_tenant(folder: Path) -> None:
    start = f"ExecStart={V} org/bge-m3 --runner pooling --kv-cache-memory-bytes 1G"
    services = read(folder, "z.service", start, "llm.service", "stt.service")
    assert services.beside == () and "has --kv-cache-memory-bytes" in services.notes[0]


SPEECH = {
    "/opt/f/bin/faster-whisper-server --model Systran/faster-whisper-small": (
        "Systran/faster-whisper-small",
        "--device cuda --compute-type float16 --beam-size 5",
        "--model",
    ),
    "/usr/bin/docker run -e WHISPER__MODEL=Systran/faster-whisper-small -e "
    "WHISPER__COMPUTE_TYPE=int8 ghcr.io/speaches-ai/speaches": (
        "Systran/faster-whisper-small",
        "--device cuda --compute-type int8 --beam-size 5",
        "WHISPER__MODEL",
    ),
    "/opt/w/bin/wyoming-faster-whisper --model tiny-int8 --device cpu --beam-size 1": (
        "Systran/faster-whisper-tiny",
        "--device cpu --compute-type int8 --beam-size 1",
        "--model",
    ),
    "/opt/n/bin/python notes_asr.py --model small": (
        "Systran/faster-whisper-small",
        "--device cuda --compute-type float16 --beam-size 5",
        "--model",
    ),
    "/opt/w/whisper-server -m HERE/ggml-base.en.bin -t 4 --port 8090": (
        "HERE/ggml-base.en.bin",
        "--inference-path /v1/audio/transcriptions -t 4",
        "-m",
    ),
}


@pytest.mark.parametrize("start", SPEECH)
def test_a_second_speech_server_becomes_an_entry_of_services(folder: Path, start: str) -> None:
    (folder / "ggml-base.en.bin").write_text("x")
    model, words, setting = SPEECH[start]
    model = model.replace("HERE", str(folder))
    services = read(folder, "z.service", f"ExecStart={start}", "llm.service", "fw.service")
    entry = checked(folder, services, "stt2", {"stt2.model": model})
    assert entry["api"] == "transcription" and "{stt2.model}" in entry["command"]
    assert words in entry["command"] and "--port {port}" in entry["command"]
    assert any("is stt2, beside fw.service, which is named first" in n for n in services.notes)
    made, _ = deployment_of("my", "cuda", services, None)
    own = made["services"]["stt2"]["set"]["stt2.model"] if made else {}
    assert setting in (own.get("flag"), own.get("variable")) and model in own["choices"]


TENANTS = {
    "/opt/p/bin/wyoming-parakeet --model x": "is a second speech server (Parakeet) where the study "
    "asks a speech server by OpenAI's POST /v1/audio/transcriptions; a command that serves it so, "
    "with {port}, belongs into `services.stt2.command`, with `api: transcription`",
    "/opt/w/whisper-server -m /m/mine.bin": "is a second speech server (whisper.cpp) that is not "
    "read (z.service runs whisper.cpp on '/m/mine.bin', whose size its name does not tell",
    "/opt/i/bin/infinity_emb v2 --model-id a/b --model-id c/d": "is infinity with several models",
    "/opt/c/bin/python main.py --listen": "is not known here (/opt/c/bin/python main.py --listen)",
    "/opt/t/bin/python /opt/tabbyAPI/main.py": "is a second LLM (TabbyAPI) that is not read",
    "/opt/w/bin/wyoming-piper --voice en": "is Piper, which does not speak /v1/audio/speech",
    "/usr/bin/docker run ghcr.io/huggingface/text-embeddings-inference:1 --model-id "
    "org/bge-reranker-base": "is text-embeddings-inference, whose /rerank is not Jina's",
}


@pytest.mark.parametrize("start", TENANTS)
def test_what_no_study_measures_stays_a_tenant_in_a_true_sentence(folder: Path, start: str) -> None:
    services = read(folder, "z.service", f"ExecStart={start}", "llm.service", "fw.service")
    assert services.beside == () and services.llm.model == "org/m"
    assert (
        f"z.service {TENANTS[start]}" in services.notes[0] and "stays a tenant" in services.notes[0]
    )


EMBED = "vllm/vllm-openai --model org/bge-m3 --runner pooling --gpu-memory-utilization 0.1"
OF_SEVERAL = {
    "a script": """#!/bin/bash
/opt/v/bin/vllm serve org/bge-m3 --gpu-memory-utilization 0.1 --port 8001 > log 2>&1 &
/opt/w/bin/faster-whisper-server --model base &
while true; do /opt/v/bin/vllm serve org/m --gpu-memory-utilization 0.4; sleep 1; done
""",
    "detached": f"""#!/bin/bash
docker run --gpus all -itd -p 8001:8000 {EMBED}
tmux new-session -d -s s '/opt/w/bin/faster-whisper-server --model base'
screen -dmS l /opt/v/bin/vllm serve org/m --gpu-memory-utilization 0.4
""",
}


@pytest.mark.parametrize("is_unit", [False, True])
@pytest.mark.parametrize("form", OF_SEVERAL)
def test_a_script_that_starts_several_servers_starts_all_of_them(
    folder: Path, form: str, *, is_unit: bool
) -> None:
    (folder / "all.sh").write_text(OF_SEVERAL[form])
    (folder / "all.sh").chmod(0o755)
    if is_unit:
        services = read(folder, "a.service", "ExecStart=HERE/all.sh")
    else:
        services = read(folder, "all.sh", OF_SEVERAL[form])
    assert (services.llm.model, services.llm.share, services.stt.size) == ("org/m", 0.4, "base")
    assert [(b.name, b.port) for b in services.beside] == [("embed", 8001)]
    made, [why] = deployment_of("my", "cuda", services, None)
    assert made is None
    assert not is_unit or "a.service starts several servers, so that none changes alone" in why


def test_a_unit_that_starts_detached_containers_starts_all_of_them(folder: Path) -> None:
    run = "ExecStart=/usr/bin/docker run -d --gpus all -p"
    text = f"Type=oneshot\n{run} 8000:8000 vllm/vllm-openai --model org/m\n{run} 8001:8000 {EMBED}"
    services = read(folder, "a.service", text, "fw.service")
    assert [services.llm.model, *(b.served_model for b in services.beside)] == [
        "org/m",
        "org/bge-m3",
    ]
    _, [why] = deployment_of("my", "cuda", services, None)
    assert "a.service starts several servers" in why


def test_a_name_that_begins_as_that_of_a_spec_is_written_all_the_same(folder: Path) -> None:
    image = "lmsysorg/sglang python3 -m sglang.launch_server --model-path org/b"
    start = f"ExecStart=/usr/bin/docker run --gpus all {image} --served-model-name model-b"
    services = read(folder, "b.service", start, "llm.service", "fw.service")
    spec = spec_of("my", places_of(services, "cuda"), services, None)
    assert spec["services"]["llm2"]["served_model"] == "model-b"


def test_the_study_plans_what_was_written_of_five_servers(folder: Path) -> None:
    (folder / "bin").mkdir()
    (folder / "bin/python").symlink_to(sys.executable)
    starts = {
        "llm": "vllm serve org/m --gpu-memory-utilization 0.5",
        "stt": "speaches --model base",
        "e": "vllm serve org/bge-m3 --runner pooling --gpu-memory-utilization 0.1",
        "n": "vllm serve --model openai/whisper-base --gpu-memory-utilization 0.1 --port 8003",
        "w": "faster-whisper-server --model Systran/faster-whisper-tiny",
    }
    for name, words in starts.items():
        (folder / f"{name}.service").write_text(f"[Service]\nExecStart={folder}/bin/{words}\n")
    spec, deployment = folder / "my.yaml", folder / "deployment.yaml"
    units = tuple(f"./{name}.service" for name in starts)
    write_files(InitOptions(units, spec, deployment, "my", device="cpu"), lambda _: None)
    assert [*load_deployment(deployment).services] == ["llm", "stt", "embed", "stt2", "stt3"]
    done = run_study(spec, "--dry-run", "--total-mib", 24000)
    assert done.returncode == 0 and "stt2.gpu_memory_utilization=0.1" in done.stdout, done
