"""An LLM beside the one that answers turns has the options, figures and failures of its engine."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from made.live_factories import FAKES, SERVER

from objectives.allocation import Allocation
from objectives.apis.chat import Chat
from objectives.apis.completions import Completions
from objectives.engines.llama_cpp.llm import LlamaCpp
from objectives.engines.registry import engine_of, engines_of, llm_of_turns, sharing
from objectives.errors import BadInput
from objectives.services import LlmService, OtherService
from objectives.setting import conditions
from objectives.traffic.workload import Workload
from study.spec.load import load
from study.spec.model import Spec
from study.spec.setting import setting_of

LLAMA = {"engine": "llama_cpp", "api": "chat", "model": "/m/tiny.gguf", "args": ["--mlock"]}
VLLM = {"engine": "vllm", "api": "completions", "model": "org/small", "vocabulary": 99}
TURNS = {"llm": {"engine": "vllm", "model": "org/big"}, "stt": FAKES["services"]["stt"]}


def read(folder: Path, chat: Any, today: Any, services: Any = None, **more: Any) -> Spec:
    data = {
        **FAKES,
        "services": {**(services or FAKES["services"]), "chat": chat},
        "search_space": {**FAKES["search_space"], **{k: [v] for k, v in today.items()}},
        "baseline": {**FAKES["baseline"], **today},
        "measure": {"recorded": "h100.jsonl"},  # no program is looked for
        **more,
    }
    path = folder / "two_llms.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return load(path, is_here=False)


def words(spec: Spec, name: str = "chat") -> str:
    engine = engine_of(name, spec.services[name])
    return " ".join(engine.command(spec.baseline, {}).with_port(5))


def test_its_options_have_the_name_of_its_service_and_those_of_the_turns_llm_their_own(
    tmp_path: Path,
) -> None:
    spec = read(tmp_path, LLAMA, {"chat.ctx_size": 4096})
    assert words(spec) == (
        "llama-server --model /m/tiny.gguf --alias model --host 127.0.0.1 --port 5 --parallel 4 "
        "--n-gpu-layers 999 --mlock --ctx-size 4096"
    )
    engine = engine_of("chat", spec.services["chat"])
    assert isinstance(engine, LlamaCpp)
    placed = Allocation({**spec.baseline.values, "chat.place": "cpu", "chat.resident": True})
    for allocation in (spec.baseline, placed):
        assert engine.settings(allocation) == "--ctx-size 4096"
        assert engine.memory_key(allocation) == "ctx_size=4096"
    assert "4096" not in words(spec, "llm")
    end = engine.endpoint("http://x")
    assert end.api == Chat("model") and end.metrics_path == "/slots"


def test_a_share_of_its_own_is_one_of_its_options(tmp_path: Path) -> None:
    spec = read(tmp_path, VLLM, {"chat.gpu_memory_utilization": 0.1}, TURNS)
    command = words(spec)
    assert command == (
        f"{sys.executable} -m vllm.entrypoints.openai.api_server --host 127.0.0.1 --port 5 "
        "--model org/small --served-model-name model --gpu-memory-utilization 0.1"
    )
    assert "--gpu-memory-utilization 0.1" in words(spec, "llm")
    engine = engine_of("chat", spec.services["chat"])
    assert not engine.has_share and engine.settings(spec.baseline) == (
        "--gpu-memory-utilization 0.1"
    )
    other = Allocation({**spec.baseline.values, "chat.gpu_memory_utilization": 0.2})
    assert engine.memory_key(other) != engine.memory_key(spec.baseline)  # it takes it
    assert engine.endpoint("http://x").api == Completions("model", 99)
    turns = sharing(spec.services)
    assert turns is not None and turns.name == "llm"
    assert turns.memory_key(other) == turns.memory_key(spec.baseline)


def test_the_llm_of_turns_is_the_one_that_is_meant(tmp_path: Path) -> None:
    spec = read(tmp_path, LLAMA, {"chat.ctx_size": 4096})
    meant = llm_of_turns(spec.services)
    assert meant is not None and meant.name == "llm"
    assert [e.name for e in engines_of(spec.services)] == ["stt", "chat", "llm"]
    engine = engine_of("chat", spec.services["chat"])
    assert engine.bounds({"chat_kv_tokens": 9}, Workload(), spec.baseline) == {}
    assert [e.symptoms for e in engines_of(spec.services)] == [
        *("transcription", "beside", "completions")
    ]


def test_its_traffic_limits_and_weights_are_its_own(tmp_path: Path) -> None:
    chat = {**LLAMA, "per_s": 2, "tokens": [5, 9], "output_tokens": 7}
    spec = read(tmp_path, chat, {"chat.ctx_size": 4096}, limits={"chat_ttft_p95_ms": 300})
    [traffic] = spec.workload.beside
    assert (traffic.api, traffic.tokens, traffic.output_tokens) == ("chat", (5, 9), 7)
    assert spec.limits["chat_ttft_p95_ms"] == 300
    assert spec.fitness.effective_weights["chat"] == pytest.approx(0.5 / 3)
    conditions_of_spec = conditions(setting_of(spec))
    assert conditions_of_spec["services"]["chat"]["engine"] == "llama_cpp"
    assert conditions_of_spec["services"]["chat"]["api"] == "chat"
    assert "api" not in conditions_of_spec["services"]["llm"]  # as before there was another


def test_a_template_may_start_it(tmp_path: Path) -> None:
    chat = {"api": "chat", "command": f"{SERVER} --label {{chat.threads}}"}
    spec = read(tmp_path, chat, {"chat.threads": 8})
    assert words(spec).endswith("--label 8")
    assert engine_of("chat", spec.services["chat"]).settings(spec.baseline) == "threads=8"


def test_the_llm_of_turns_may_speak_chat_too(tmp_path: Path) -> None:
    llm = {"command": FAKES["services"]["llm"]["command"], "api": "chat"}
    spec = read(tmp_path, LLAMA, {"chat.ctx_size": 1}, {**FAKES["services"], "llm": llm})
    engine = llm_of_turns(spec.services)
    assert engine is not None and engine.endpoint("http://x").api == Chat("model")
    assert engine.conditions()["api"] == "chat" and not engine.is_beside


@pytest.mark.parametrize(
    ("chat", "today", "message"),
    [
        (LLAMA, {}, "services.chat.args: nothing says the context, which would follow"),
        (VLLM, {}, "or name it in baseline or args"),
        (LLAMA, {"chat.model": "x"}, "use services.chat.model"),
        (LLAMA, {"chat.alias": "x"}, "use services.chat.served_model"),
        ({**LLAMA, "args": ["-m", "x"]}, {"chat.ctx_size": 1}, "-m is set by the study itself"),
        (LLAMA, {"chat.ctx_size": 1, "chat.cache_type_k": "q8_0"}, "change the answers of chat"),
        (LLAMA, {"chat.ctx_size": 1, "chat.ctk": "q8_0"}, "change the answers of chat"),
        ({**LLAMA, "python": "py"}, {"chat.ctx_size": 1}, "python: llama_cpp has none; name its"),
        ({**VLLM, "program": "x"}, {}, "program: vllm has none; name its `python:`"),
        ({**LLAMA, "model": ""}, {"chat.ctx_size": 1}, "model: it is missing; name the model's f"),
        ({**LLAMA, "command": "x"}, {}, "services.chat.command: llama_cpp has its own"),
        ({"api": "chat"}, {}, "services.chat.command: it is missing"),
    ],
)
def test_what_is_wrong_is_said_with_its_own_names(
    tmp_path: Path, chat: Any, today: Any, message: str
) -> None:
    with pytest.raises(BadInput) as caught:
        read(tmp_path, chat, today)
    assert message in str(caught.value)


def test_its_folder_is_found_and_it_stays_what_it_is() -> None:
    service = OtherService(api="completions", engine="vllm", model="org/small")
    service_beside = engine_of("chat", service).with_folders(lambda model: f"/cache/{model}")
    assert service_beside == replace(service, model="/cache/org/small")
    assert not isinstance(service_beside, LlmService)
