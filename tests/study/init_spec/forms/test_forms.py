"""The forms in which people start their servers are read down to model, memory and size."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from rigs.unit_texts import read

from objectives.errors import BadInput
from study.cli.checkout import as_typed
from study.init_spec.init_spec import InitOptions, write_files
from study.init_spec.places import places_of
from study.init_spec.write_deployment import deployment_of
from study.init_spec.write_spec import spec_of, write_spec

VLLM = {
    "variables": "Environment=M=org/m U=0.45\nExecStart=/opt/v/bin/vllm serve ${M} "
    "--gpu-memory-utilization ${U}",
    "all in one variable": 'Environment="A=--model org/m --gpu-memory-utilization 0.45"\n'
    "ExecStart=/opt/v/bin/vllm serve $A",
    "continuations with a comment between": "ExecStart=/opt/v/bin/python3 -u -m "
    "vllm.entrypoints.openai.api_server \\\n --model org/m \\\n# a comment\n"
    " --gpu-memory-utilization 0.45",
    "the module of the command": "ExecStart=/opt/v/bin/python -m vllm.entrypoints.cli.main serve "
    "org/m --gpu-memory-utilization .45",
    "relative .venv": "WorkingDirectory=HERE\nExecStart=.venv/bin/python -m "
    "vllm.entrypoints.openai.api_server --model=org/m --gpu_memory_utilization=0.45",
    "a bare interpreter": "ExecStart=python3 -m vllm.entrypoints.openai.api_server --model org/m "
    "--gpu-memory-utilization 0.45",
    "uv run": "WorkingDirectory=HERE\nExecStart=/usr/bin/uv run --frozen vllm serve org/m "
    "--gpu-memory-utilization 0.45",
    "flags before the model": "ExecStart=/opt/v/bin/vllm serve --port 8000 "
    "--gpu-memory-utilization 0.45 --enforce-eager org/m",
    "env, nice and numactl": "ExecStart=/usr/bin/env X=1 nice -n 5 numactl --cpunodebind=0 "
    "/opt/v/bin/vllm serve org/m --gpu-memory-utilization 0.45",
    "systemd-run and a mask of cores": "ExecStart=/usr/bin/systemd-run --scope -p MemoryMax=9G "
    "taskset 0xff /opt/v/bin/vllm serve org/m --gpu-memory-utilization 0.45",
    "tmux without quotes": "ExecStart=/usr/bin/tmux new -d -s v /opt/v/bin/vllm serve org/m "
    "--gpu-memory-utilization 0.45",
    "tmux": "ExecStart=/usr/bin/tmux new-session -d -s v '/opt/v/bin/vllm serve org/m "
    "--gpu-memory-utilization 0.45'",
    "another user's shell": "ExecStart=/bin/su - llm -c '/opt/v/bin/vllm serve org/m "
    "--gpu-memory-utilization 0.45'",
    "a script's arguments": "ExecStart=HERE/run.sh org/m 0.45",
    "sudo": "ExecStart=/usr/bin/sudo -u llm -E /opt/v/bin/vllm serve org/m "
    "--gpu-memory-utilization 0.45",
    "a login shell": "Environment=U=0.45\nExecStart=/bin/bash -lc 'cd /opt && exec "
    "/opt/v/bin/vllm serve org/m --gpu-memory-utilization $${U:-0.9} 2>&1'",
    "a shell with options": "ExecStart=/usr/bin/env bash -euo pipefail -c 'source "
    "/opt/v/bin/activate; vllm serve org/m --gpu-memory-utilization 0.45 | tee /log'",
    "conda run": "ExecStart=/opt/conda/bin/conda run --no-capture-output -n v vllm serve org/m "
    "--gpu-memory-utilization 0.45",
    "docker run": "ExecStartPre=-/usr/bin/docker rm -f v\nExecStart=/usr/bin/docker run --rm "
    "--name v --gpus '\"device=1\"' -p 8001:8000 vllm/vllm-openai:v1 --model org/m "
    "--gpu-memory-utilization 0.45",
    "docker run through a shell": "ExecStart=/bin/bash -lc 'docker run --gpus all "
    "vllm/vllm-openai --model org/m --gpu-memory-utilization 0.45'",
    "docker run with a command": "ExecStart=/usr/bin/docker run --gpus all --network host "
    "registry:5000/mine:1 vllm serve org/m --gpu-memory-utilization 0.45",
    "docker run with a shell inside": "ExecStart=/usr/bin/docker run --gpus all --entrypoint "
    "/bin/bash vllm/vllm-openai -c 'vllm serve org/m --gpu-memory-utilization 0.45'",
    "podman run": "ExecStart=/usr/bin/podman run --replace -d --device nvidia.com/gpu=0 "
    "docker.io/vllm/vllm-openai --model org/m --gpu-memory-utilization=0.45",
}


@pytest.mark.parametrize("form", VLLM)
def test_vllm_is_read_from_a_unit(folder: Path, form: str) -> None:
    script = '#!/bin/sh\nexec /opt/v/bin/vllm serve "$1" --gpu-memory-utilization "$2"\n'
    (folder / "run.sh").write_text(script)
    llm = read(folder, "a.service", VLLM[form], "stt.service").llm
    assert (llm.engine, llm.model, llm.share) == ("vLLM", "org/m", 0.45)


FILES = {
    "llm.container": """
        [Container]
        Image=docker.io/vllm/vllm-openai:latest
        Exec=--model org/m --gpu-memory-utilization 0.45 \\
            --max-model-len 8192
        AddDevice=nvidia.com/gpu=all
        PublishPort=8001:8000
        """,
    "compose.yaml": """
        x-gpu: &gpu {gpus: all}
        services:
          llm:
            <<: *gpu
            image: vllm/vllm-openai
            command: --model org/m --gpu-memory-utilization ${U:-0.45} --max-model-len 8192
            ports: ["8001:8000"]
        """,
    "deployment.yaml": """
        kind: Deployment
        metadata: {name: llm}
        spec:
          template:
            spec:
              containers:
              - name: vllm
                image: vllm/vllm-openai
                command: [/bin/sh, -c]
                args: ["exec vllm serve org/m --gpu-memory-utilization $(U) --max-model-len 8192"]
                env: [{name: U, value: "0.45"}]
        """,
    "supervisord.conf": """
        [program:llm]
        command=/opt/v/bin/vllm serve org/m --gpu-memory-utilization %(ENV_U)s --max-model-len 8192
        environment=U="0.45",OTHER=1
        """,
    "start.sh": """#!/usr/bin/env bash
        set -euo pipefail
        cd "$(dirname "$0")"
        MODEL=${MODEL:-org/m}
        ARGS=(--gpu-memory-utilization 0.45  # today's
          --max-model-len 8192
        )
        if [[ -n "${EAGER:-}" ]]; then ARGS+=(--enforce-eager); fi
        exec .venv/bin/vllm serve "$MODEL" "${ARGS[@]}" "$@"
        """,
}


@pytest.mark.parametrize("name", FILES)
def test_vllm_is_read_from_a_file(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder))  # no engine is asked
    llm = read(folder, name, FILES[name], "stt.service").llm
    reading = (llm.model, llm.share, llm.args)
    assert reading == ("org/m", 0.45, ("--max-model-len", "8192"))


def test_a_drop_in_beside_the_file_of_a_unit_counts(folder: Path) -> None:
    (folder / "a.service.d").mkdir()
    drop_in = "[Service]\nExecStart=\nExecStart=/opt/v/bin/vllm serve org/new\n"
    (folder / "a.service.d/x.conf").write_text(drop_in)
    assert read(folder, "a.service", VLLM["variables"], "stt.service").llm.model == "org/new"


@pytest.mark.parametrize("words", ["--config HERE/c.yaml", "org/m --config HERE/c.yaml"])
def test_a_file_of_flags_is_read_with_its_share(folder: Path, words: str) -> None:
    text = "model: org/m\ngpu-memory-utilization: 0.37\nmax_model_len: 2048\nenforce-eager: true\n"
    (folder / "c.yaml").write_text(text)
    llm = read(folder, "a.service", f"ExecStart=/opt/v/bin/vllm serve {words}", "stt.service").llm
    assert (llm.model, llm.share) == ("org/m", 0.37)
    assert llm.args == ("--max-model-len", "2048", "--enforce-eager")


def test_a_file_of_flags_that_overrides_the_share_or_is_in_an_image_is_refused(
    folder: Path,
) -> None:
    (folder / "c.yaml").write_text("kv-cache-memory-bytes: 4G\n")
    command = "ExecStart=/opt/v/bin/vllm serve org/m --config HERE/c.yaml"
    with pytest.raises(BadInput, match=r"a.service has --kv-cache-memory-bytes: it sets the KV"):
        read(folder, "a.service", command, "stt.service")
    run = "ExecStart=/usr/bin/docker run vllm/vllm-openai org/m --config /etc/c.yaml"
    with pytest.raises(BadInput, match=r"its --config /etc/c.yaml is not read from here"):
        read(folder, "a.service", run, "stt.service")
    mounted = run.replace("run ", f"run -v {folder}:/etc ")
    with pytest.raises(BadInput, match=r"a.service has --kv-cache-memory-bytes"):
        read(folder, "a.service", mounted, "stt.service")


def test_what_a_server_reads_is_kept_and_what_its_command_is_made_of_is_not(folder: Path) -> None:
    kept = {"CUDA_HOME": "/c", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "4", "PATH": "/opt/bin"}
    kept |= {"TRITON_PTXAS_PATH": "/p", "VLLM_USE_V1": "1"}
    left = {"VLLM_HOST": "0.0.0.0", "VLLM_SERVE_ARGS": "--enforce-eager", "HF_TOKEN": "x"}
    left |= {"VLLM_SHARE": "0.4", "OTHER": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    env = " ".join(f"{k}={v}" for k, v in (kept | left).items())
    text = f"Environment={env}\nExecStart=/opt/v/bin/vllm serve org/m $VLLM_SERVE_ARGS "
    text += "--host ${VLLM_HOST} --gpu-memory-utilization ${VLLM_SHARE}"
    llm = read(folder, "a.service", text, "stt.service").llm
    assert (dict(llm.env), llm.args, llm.share) == (kept, ("--enforce-eager",), 0.4)


ENGINES = {
    "/l/llama-server -m /m/q.gguf -c 16384 -ngl 99 --host 0.0.0.0 --port 8081 --alias q": (
        {"engine": "llama_cpp", "program": "/l/llama-server", "model": "/m/q.gguf"},
        ["-ngl", "99"],
        {"llama.ctx_size": 16384},
        "-c",
    ),
    "/opt/s/bin/python -m sglang.launch_server --model-path org/m --mem-fraction-static 0.6": (
        {"engine": "sglang", "python": "/opt/s/bin/python", "model": "org/m"},
        [],
        {"sglang.mem_fraction_static": 0.6},
        "--mem-fraction-static",
    ),
    "/usr/bin/env OLLAMA_CONTEXT_LENGTH=8192 OLLAMA_HOST=0.0.0.0 /usr/bin/ollama serve": (
        {"engine": "ollama", "program": "/usr/bin/ollama", "model": "llama3.1:8b"},
        [],
        {"ollama.context_length": 8192},
        "OLLAMA_CONTEXT_LENGTH",
    ),
}


@pytest.mark.parametrize("start", ENGINES)
def test_an_engine_that_the_study_knows_is_named(folder: Path, start: str) -> None:
    named, args, options, setting = ENGINES[start]
    services = read(
        folder, "a.service", f"ExecStart={start}", "stt.service", llm_model="llama3.1:8b"
    )
    spec = spec_of("my", places_of(services, None), services, None)
    own = spec["services"]["llm"]
    assert {k: own[k] for k in named} == named and own["args"] == args and "command" not in own
    assert dict(services.llm.options) == options and options.items() <= spec["baseline"].items()
    assert dict(services.llm.flags) == dict.fromkeys(options, setting)
    write_spec(folder / "my.yaml", [], spec)


OTHERS = {
    "Ollama": (
        "/usr/bin/docker run --gpus all -e OLLAMA_CONTEXT_LENGTH=8192 -v o:/root/.ollama "
        "ollama/ollama",
        "llama3.1:8b",
        None,
        {"vllm.context_length": 8192},
        "docker run --rm --gpus=all --volume=o:/root/.ollama --network=host "
        "--env=OLLAMA_CONTEXT_LENGTH={vllm.context_length} --env=OLLAMA_HOST=127.0.0.1:{port} "
        "ollama/ollama serve",
    ),
    "text-generation-inference": (
        "/usr/bin/docker run --gpus all -p 8080:80 ghcr.io/huggingface/"
        "text-generation-inference:3 --model-id org/m --cuda-memory-fraction 0.5",
        "org/m",
        0.5,
        {},
        "docker run --rm --gpus=all --network=host ghcr.io/huggingface/"
        "text-generation-inference:3 --model-id org/m --hostname 127.0.0.1 --port {port} "
        "--cuda-memory-fraction {vllm_memory_util}",
    ),
}


@pytest.mark.parametrize("engine", OTHERS)
def test_another_engine_of_an_llm_is_started_by_its_own_command(folder: Path, engine: str) -> None:
    start, model, share, options, command = OTHERS[engine]
    llm = read(
        folder, "a.service", f"ExecStart={start}", "stt.service", llm_model="llama3.1:8b"
    ).llm
    assert (llm.engine, llm.model, llm.share, dict(llm.options)) == (engine, model, share, options)
    assert llm.command == command


SPEECH = {
    "wyoming": (
        "/opt/w/bin/wyoming-faster-whisper --model tiny-int8 --device cuda",
        "tiny",
        "int8",
    ),
    "a hub id of wyoming's": (
        "/opt/w/bin/python -m wyoming_faster_whisper --model rhasspy/faster-whisper-base-int8",
        "base",
        "int8",
    ),
    "a container with variables": (
        "/usr/bin/docker run -e WHISPER_MODEL=medium-int8 lscr.io/linuxserver/faster-whisper:gpu",
        "medium",
        "int8",
    ),
    "speaches": (
        "/usr/bin/docker run --gpus all -e WHISPER__MODEL=Systran/faster-distil-whisper-large-v3 "
        "-e WHISPER__COMPUTE_TYPE=float16 ghcr.io/speaches-ai/speaches",
        "distil-large-v3",
        "float16",
    ),
    "faster-whisper-server": (
        "/opt/f/bin/faster-whisper-server --model Systran/faster-whisper-small",
        "small",
        None,
    ),
    "whisper-asr-webservice": (
        "/usr/bin/docker run -e ASR_MODEL=small -e ASR_ENGINE=faster_whisper "
        "onerahmet/openai-whisper-asr-webservice:latest-gpu",
        "small",
        None,
    ),
    "an application": ("/opt/a/bin/python app.py --model large-v3-turbo", "large-v3-turbo", None),
}


@pytest.mark.parametrize("form", SPEECH)
def test_the_size_and_arithmetic_of_speech_are_read(folder: Path, form: str) -> None:
    start, size, arithmetic = SPEECH[form]
    stt = read(folder, "a.service", f"ExecStart={start}", "llm.service").stt
    assert (stt.size, stt.compute_type) == (size, arithmetic)
    assert size.rpartition("distil-")[2] in stt.models[size].split("/")[-1]


def test_whisper_cpp_is_started_by_its_own_command(folder: Path) -> None:
    for size in ("tiny.en", "base.en"):
        (folder / f"ggml-{size}.bin").write_text("x" * len(size) * (2 if size[0] == "b" else 1))
    start = "ExecStart=/opt/w/whisper-server -m HERE/ggml-base.en.bin -t 4 --port 8090"
    stt = read(folder, "a.service", start, "llm.service").stt
    assert stt.models == {s: f"{folder}/ggml-{s}.bin" for s in ("tiny.en", "base.en")}
    assert stt.command == (
        "/opt/w/whisper-server -m {model} --host 127.0.0.1 --port {port} "
        "--inference-path /v1/audio/transcriptions -t 4"
    )


REFUSED = {
    "/opt/p/bin/python -m wyoming_parakeet --model x": (
        "llm.service",
        "a.service runs Parakeet, another engine .*`services.stt.command`",
    ),
    "/opt/a/bin/uvicorn app:app": ("llm.service", "name a Whisper size; .*--size WHISPER_MODEL="),
    "/usr/bin/ollama serve": (
        "stt.service",
        "a.service runs Ollama, .*say which: --llm-model NAME",
    ),
    "/opt/t/bin/python /opt/tabbyAPI/main.py": (
        "stt.service",
        "a.service runs TabbyAPI, .*`services.llm.command`",
    ),
    "/usr/bin/docker run --gpus all nvcr.io/nim/meta/x": (
        "stt.service",
        r"none does: .*a.service runs '\(the image nvcr.io/nim/meta/x\)'",
    ),
    "/usr/bin/docker start -a llm": ("stt.service", "container llm: .*docker"),
}


@pytest.mark.parametrize("start", REFUSED)
def test_what_is_not_read_is_named_with_what_was_found(
    folder: Path, start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(folder))
    other, why = REFUSED[start]
    with pytest.raises(BadInput, match=why):
        read(folder, "a.service", f"ExecStart={start}", other)


ON_VLLM = {
    "/opt/e/bin/vllm serve --model openai/whisper-small --gpu-memory-utilization 0.1": (
        {"engine": "vllm", "models": {"small": "openai/whisper-small"}, "args": []},
        "stt.gpu_memory_utilization",
        [],
    ),
    "/opt/e/bin/vllm serve openai/whisper-large-v3 --gpu-memory-utilization 0.1": (
        {"engine": "vllm", "python": "/opt/e/bin/python"},
        "stt.gpu_memory_utilization",
        ["whisper_model_size"],
    ),
    "/usr/bin/docker run --gpus all vllm/vllm-openai --model openai/whisper-base "
    "--gpu-memory-utilization 0.1": (
        {
            "command": "docker run --rm --gpus=all --network=host vllm/vllm-openai --model "
            "{model} --served-model-name whisper-1 --host 127.0.0.1 --port {port} "
            "--gpu-memory-utilization {whisper.gpu_memory_utilization}"
        },
        "whisper.gpu_memory_utilization",
        [],
    ),
}


@pytest.mark.parametrize("start", ON_VLLM)
def test_a_whisper_on_vllm_is_searched_with_its_share(folder: Path, start: str) -> None:
    own, option, not_set = ON_VLLM[start]
    services = read(folder, "a.service", f"ExecStart={start}", "llm.service")
    spec = spec_of("my", places_of(services, None), services, None)
    entry = spec["services"]["stt"]
    assert {k: entry[k] for k in own} == own and spec["baseline"][option] == 0.1
    assert spec["search_space"][option] == [0.05, 0.1, 0.15]
    write_spec(folder / "my.yaml", [], spec)
    made, _ = deployment_of("my", "cuda", services, None)
    deployed = made["services"]["stt"]["set"] if made else {}
    assert deployed[option]["flag"] == "--gpu-memory-utilization"
    assert (made or {}).get("not_set", []) == not_set == [n for n in not_set if n not in deployed]


def test_a_whisper_on_sglang_is_started_by_its_own_command(folder: Path) -> None:
    start = "ExecStart=/opt/g/bin/python -m sglang.launch_server --model-path openai/whisper-base"
    stt = read(folder, "a.service", f"{start} --api-key x --tp 1", "llm.service").stt
    assert stt.models == {"base": "openai/whisper-base"}
    assert stt.command == (
        "/opt/g/bin/python -m sglang.launch_server --model-path {model} --served-model-name "
        "whisper-1 --host 127.0.0.1 --port {port} --tp 1"
    )


COMPOSE = """
services:
  llm:
    image: vllm/vllm-openai
    container_name: vllm
    environment: [HF_TOKEN=hidden, "VLLM_LOGGING_LEVEL=INFO"]
    command: [--model, org/m, --gpu-memory-utilization, "${SHARE}", --max-model-len, "8192"]
    ports: ["127.0.0.1:8001:8000"]
    volumes: ["./hf:/root/.cache/huggingface"]
    deploy: {resources: {reservations: {devices: [{device_ids: ["1"], capabilities: [gpu]}]}}}
  stt:
    image: ghcr.io/speaches-ai/speaches
    environment: {WHISPER__MODEL: Systran/faster-whisper-small}
    gpus: all
  embed:
    image: michaelf34/infinity
    command: v2 --model-id org/minilm --batch-size ${BATCH:-16} --port 7997
    ports: ["7997:7997"]
  web: {image: ghcr.io/open-webui/open-webui, environment: {WHISPER_MODEL: base}}
"""


def test_a_compose_file_becomes_a_spec_and_a_deployment_behind_its_env_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(folder))  # no engine is asked
    (folder / "compose.yaml").write_text(COMPOSE)
    (folder / ".env").write_text("SHARE=0.52\n")
    lines: list[str] = []
    spec, deployment = folder / "my.yaml", folder / "deployment.yaml"
    named = f"{folder}/../{folder.name}/compose.yaml"
    options = InitOptions((named,), spec, deployment, "my", device="cpu")
    write_files(options, lines.append)
    text = spec.read_text()
    assert "/../" not in text + deployment.read_text() + "".join(lines)
    assert lines[-1].startswith(f"next: sudo {as_typed(Path(sys.executable))} ")
    assert "hidden" not in text and "--env=HF_TOKEN " in text and "--gpus=device=1" in text
    assert f"--volume={folder}/hf:/root/.cache/huggingface" in text and "stt2" not in text
    made = deployment.read_text()
    for words in (
        "variable: SHARE\n        flag: --gpu-memory-utilization",
        "variable: BATCH\n        flag: --batch-size",
        "variable: WHISPER__MODEL",
        "container: vllm",
        f"container: {folder.name.lower()}-stt-1",
        f"path: {folder}/.env",
    ):
        assert words in made, made
    note = "WHISPER__MODEL=${WHISPER__MODEL:-Systran/faster-whisper-small}"
    assert any(note in line for line in lines)


def test_a_variable_in_the_text_of_a_shell_is_what_a_rollout_sets(folder: Path) -> None:
    text = 'Environment=U=0.45 G=1\nExecStart=/bin/sh -c "exec docker run --gpus device=$G '
    text += 'vllm/vllm-openai --model org/m --gpu-memory-utilization ${U}"'
    services = read(folder, "a.service", text, "stt.service")
    deployment, notes = deployment_of("my", "cuda", services, None)
    own = deployment["services"]["llm"]["set"]["vllm_memory_util"] if deployment else {}
    assert (own["variable"], own["flag"], notes) == ("U", "--gpu-memory-utilization", [])
    assert services.llm.share == 0.45


def test_a_context_that_no_flag_names_is_not_made_up(folder: Path) -> None:
    start = "ExecStart=/l/llama-server -m /m/q.gguf -c 0"
    services = read(folder, "a.service", start, "stt.service")
    assert services.llm.options == {} and "none is searched" in services.llm.notes[1]
    made, [note] = deployment_of("my", "cuda", services, None)
    assert made is None and "nothing of a.service is searched" in note


def test_a_unit_whose_name_has_a_colon_is_no_command_of_another(folder: Path) -> None:
    start = "ExecStart=/opt/v/bin/vllm serve org/m --gpu-memory-utilization 0.45"
    services = read(folder, "voice: llm.service", start, "stt.service")
    made, _ = deployment_of("my", "cuda", services, None)
    assert made is not None and made["services"]["llm"]["unit"] == "voice: llm.service"


def test_a_flag_in_a_script_is_set_by_a_variable_that_the_script_reads(folder: Path) -> None:
    script = "#!/bin/sh\nexec /opt/v/bin/vllm serve org/m --gpu-memory-utilization "
    (folder / "run.sh").write_text(script + '"${U:-0.45}"\n')
    services = read(folder, "a.service", "ExecStart=HERE/run.sh", "stt.service")
    deployment, notes = deployment_of("my", "cuda", services, None)
    own = deployment["services"]["llm"]["set"]["vllm_memory_util"] if deployment else {}
    assert (own["variable"], own["flag"], notes) == ("U", "--gpu-memory-utilization", [])
    (folder / "run.sh").write_text(script + "0.45\n")
    services = read(folder, "a.service", "ExecStart=HERE/run.sh", "stt.service")
    _, [note] = deployment_of("my", "cuda", services, None)
    assert "write --gpu-memory-utilization ${VLLM_MEMORY_UTIL:-0.45} there" in note


DOCKER = """#!/bin/sh
case "$*" in
  ps*service=llm*) echo far ;;
  inspect*) echo '[{"Name": "/far", "State": {"Pid": 4194303}, "Config": {}}]' ;;
esac
"""


def test_a_container_of_another_machine_has_no_processes_here(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "docker").write_text(DOCKER)
    (folder / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))  # no real engine is asked
    (folder / ".env").write_text("SHARE=0.5\n")
    services = read(folder, "compose.yaml", COMPOSE.replace("    container_name: vllm\n", ""))
    llm = services.llm.running
    assert llm.container is not None and (llm.container.name, llm.pids) == ("far", ())


OVERRIDE = """
services:
  llm: {container_name: over, environment: {VLLM_USE_V1: 1}}
"""
STARTS = {
    "docker compose up -d": (["docker", "compose"], "voice-stt-1", [], ".env"),
    "docker-compose up": (["docker-compose"], "voice-stt-1", None, ".env"),
    "podman-compose -p own up -d": (["podman-compose"], "own_stt_1", ["-p", "own"], ".env"),
    "docker compose --env-file prod.env -f compose.yaml up -d llm stt": (
        ["docker", "compose"],
        "voice-stt-1",
        ["--env-file", "HERE/prod.env"],
        "prod.env",
    ),
}


@pytest.mark.parametrize("start", STARTS)
def test_what_a_unit_starts_by_compose_is_rolled_out_by_the_same_words(
    folder: Path, start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(folder))  # no engine is asked
    words, name, options, env_file = STARTS[start]
    place, is_overlaid = folder / "voice", "-f" not in start
    place.mkdir()
    (place / "compose.yaml").write_text(COMPOSE.replace('"${SHARE}"', '"${SHARE:-0.5}"'))
    (place / "compose.override.yaml").write_text(OVERRIDE)
    text = f"WorkingDirectory={place}\nExecStart=/usr/bin/{start}\n"
    read_services = read(folder, "a.service", text)
    made, _ = deployment_of("my", "cuda", read_services, None)
    assert made is not None
    own, services = made["env_file"], made["services"]
    assert own["path"] == str(place / env_file)
    if options is None:  # the unit waits for the end of its containers
        assert own["restart"] == ["systemctl", "restart", "a.service"]
        assert own["stop"] == ["systemctl", "stop", "a.service"]
    else:
        files = ["-f", f"{place}/compose.yaml", "-f", f"{place}/compose.override.yaml"]
        options = [w.replace("HERE", str(place)) for w in options]
        begun = [*words, *files[: 4 if is_overlaid else 2], *options]
        assert own["stop"] == [*begun, "stop", *services]
    containers = [services[n]["container"] for n in ("llm", "stt")]
    assert containers == ["over" if is_overlaid else "vllm", name]
    env = read_services.llm.running.env
    assert env["VLLM_LOGGING_LEVEL"] == "INFO" and ("VLLM_USE_V1" in env) is is_overlaid


@pytest.mark.parametrize(
    ("args", "name", "reason"),
    [
        ("--max-model-len -5", "my", r"services.llm.args: max_model_len: -5"),
        ("", "a b", "name: 'a b' cannot name a folder"),
    ],
)
def test_a_spec_that_would_be_refused_is_named_as_it_was_to_be(
    folder: Path, args: str, name: str, reason: str
) -> None:
    (folder / "llm.service").write_text(f"[Service]\nExecStart=/v/bin/vllm serve org/m {args}\n")
    spec = folder / "my.yaml"
    options = InitOptions(("llm.service", "fw.service"), spec, folder / "d.yaml", name)
    with pytest.raises(BadInput) as error:
        write_files(options, print)
    assert str(error.value).startswith(f"{spec} is not written, as it would be refused: {reason}")
    assert not spec.exists()


def test_what_is_not_here_yet_is_said_without_the_file_in_which_it_stands(folder: Path) -> None:
    (folder / "a: b").mkdir()
    spec = folder / "a: b" / "my.yaml"
    services = read(folder, "a.service", "ExecStart=/opt/v/bin/vllm serve org/m", "stt.service")
    data = spec_of("my", places_of(services, "cuda"), services, None)
    [note] = write_spec(spec, [], data)
    assert note.startswith("not on this machine yet: services.")


VOLUMES = """
services:
  llm: {image: vllm/vllm-openai, command: --model m, volumes: [MOUNT]}
  stt: {image: ghcr.io/speaches-ai/speaches, environment: {WHISPER__MODEL: base}}
volumes: {hub: DECLARED}
"""
MOUNTS = {
    ("'hub:/h:ro'", ""): "own1_hub:/h:ro",
    ("{type: volume, source: hub, target: /h}", "{}"): "own1_hub:/h",
    ("'hub:/h'", "{name: 'my-${N}'}"): "my-hub:/h",
    ("'hub:/h'", "{external: true}"): "hub:/h",
    ("'./hub:/h'", ""): "HERE/hub:/h",
}


@pytest.mark.parametrize("mount", MOUNTS)
def test_a_named_volume_is_that_of_its_project(
    folder: Path, mount: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(folder))  # no engine is asked
    monkeypatch.setenv("N", "hub")
    place = folder / "_Own.1"
    place.mkdir()
    text = VOLUMES.replace("MOUNT", mount[0]).replace("DECLARED", mount[1])
    for name, by_name in (("_Own.1", "own1"), ("other", "other"), ("", "told")):
        if name == "other":
            text = f"name: other\n{text}"
        if not name:
            monkeypatch.setenv("COMPOSE_PROJECT_NAME", by_name)
        command = read(place, "compose.yaml", text).llm.command
        expected = MOUNTS[mount].replace("own1", by_name).replace("HERE", str(place))
        assert f" --volume={expected} " in (command or "")


def test_a_volume_of_a_quadlet_is_that_of_systemd(folder: Path) -> None:
    text = "[Container]\nImage=vllm/vllm-openai\nExec=--model m\nVolume=hub.volume:/h\n"
    command = read(folder, "a.container", text, "stt.service").llm.command
    assert " --volume=systemd-hub:/h " in (command or "")
