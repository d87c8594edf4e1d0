"""Checks what is known of Ollama from its documentation: nobody has run it here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from objectives.allocation import Allocation
from objectives.apis.completions import Completions
from objectives.engines import llm_server
from objectives.engines.ollama import llm as ollama
from objectives.engines.ollama.llm import Ollama
from objectives.engines.registry import llm_engine
from objectives.services import LlmService
from objectives.traffic.workload import Request


def engine(**more: Any) -> Ollama:
    served = llm_engine(LlmService(engine="ollama", model="qwen2.5:7b", **more))
    assert isinstance(served, Ollama)
    return served


def allocation(**options: Any) -> Allocation:
    named = {f"ollama.{name}": value for name, value in options.items()}
    return Allocation({"whisper_model_size": "base", **named})


def test_parameters_become_variables_and_win_over_those_of_the_service() -> None:
    env = {"OLLAMA_MODELS": "/models", "OLLAMA_CONTEXT_LENGTH": "4096", "HOME": "/root"}
    made = engine(env=env).command(allocation(context_length=8192, flash_attention=True), {})
    assert " ".join(made.with_port(5)) == (
        "env OLLAMA_HOST=127.0.0.1:5 OLLAMA_KEEP_ALIVE=-1 OLLAMA_MAX_LOADED_MODELS=1 "
        "OLLAMA_NUM_PARALLEL=1 OLLAMA_CONTEXT_LENGTH=8192 OLLAMA_FLASH_ATTENTION=1 "
        "OLLAMA_MODELS=/models ollama serve"
    )
    assert made.env["HOME"] == "/root"
    assert engine().settings(allocation(num_parallel=2)) == "OLLAMA_NUM_PARALLEL=2"


def test_its_address_is_the_studys() -> None:
    refused = engine(env={"OLLAMA_HOST": "0.0.0.0", "OLLAMA_CONTEXT_LENGTH": "4096"}).missing(())
    assert refused == ("OLLAMA_HOST in `env` is set by the study itself", "remove it")


def test_its_own_way_to_sleep_is_told_for_production_and_measured_behind_the_front() -> None:
    asleep = engine(resident=False, woken_by="keep_alive", idle_s=300.0)
    made = asleep.command(allocation(context_length=8192), {}).argv
    assert made[made.index("--health") + 1] == "/api/version"
    assert {"OLLAMA_HOST=127.0.0.1:{own_port}", "OLLAMA_KEEP_ALIVE=-1"} <= {*made}
    assert asleep.settings(allocation(context_length=8192)) == (
        "OLLAMA_CONTEXT_LENGTH=8192 OLLAMA_KEEP_ALIVE=300s, "
        "woken by keep_alive, unloaded after 300 s"
    )


def test_it_is_asked_for_its_own_model_in_words() -> None:
    api = engine().endpoint("http://h").api
    assert isinstance(api, Completions)
    body = json.loads(api.body(Request("llm", 0.0, 5, 3), ()))
    assert body["model"] == "qwen2.5:7b" and len(body["prompt"].split()) == 5
    assert engine(vocabulary=100).vocabulary() is None


@pytest.mark.parametrize(
    ("named", "env", "is_said"),
    [([], {}, False), (["context_length"], {}, True), ([], {"OLLAMA_CONTEXT_LENGTH": "1"}, True)],
)
def test_its_context_must_be_said(named: list[str], env: dict[str, str], *, is_said: bool) -> None:
    assert (engine(env=env).missing(named) is None) == is_said


@pytest.mark.parametrize("page", ["", "[]", '{"models": 3}', '{"models": [3]}', '{"models": []}'])
def test_an_odd_page_tells_nothing(monkeypatch: pytest.MonkeyPatch, page: str) -> None:
    monkeypatch.setattr(ollama, "engine_page", lambda *_: page)
    assert engine().figures("http://h", "")["max_model_len"] is None


def test_the_context_of_what_is_loaded_is_its_longest_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    models = {"models": [{"name": "qwen2.5:7b", "size_vram": 5, "context_length": 8192}]}
    monkeypatch.setattr(ollama, "engine_page", lambda *_: json.dumps(models))
    assert engine().figures("http://h", "")["max_model_len"] == 8192
    assert engine().longest_taken({"context_length": (4096, 8192)}) == 4096
    assert engine().at_once(allocation(num_parallel=4)) == 4


def test_its_page_of_health_is_its_own_unless_one_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    urls: list[str] = []
    monkeypatch.setattr(
        llm_server, "answers_once_healthy", lambda url, *_, **__: urls.append(url) or True
    )
    assert engine().is_ready("http://h", 60)
    assert engine(health_path="/up").is_ready("http://h", 60)
    assert urls == ["http://h/api/version", "http://h/up"]
