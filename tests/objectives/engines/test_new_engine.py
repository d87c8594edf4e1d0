"""An engine that the guide's page says how to add is loaded, launched, measured and told apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from fake_servers.fakes import FAKE
from made.live_factories import FAKES, Shelf

from objectives.allocation import Allocation
from objectives.colocation.colocation import Colocation
from objectives.devices.device_set import device_set
from objectives.engines.any_command import AnyCommand
from objectives.engines.command import Command, command_of, flags
from objectives.engines.llm_server import LlmServer
from objectives.engines.registry import (
    LLM_ENGINES,
    OTHER_ENGINES,
    SPEECH_ENGINES,
    engine_of,
    llm_engine,
)
from objectives.engines.speech_server import SpeechServer
from objectives.evaluation import Job
from objectives.fit.cell import Host, SpeechMemory
from objectives.measurement import Measurement
from objectives.services import LlmService
from study.spec.load import load
from study.spec.model import Spec
from study.spec.setting import setting_of

pytestmark = pytest.mark.usefixtures("one_generator")


@dataclass(frozen=True, slots=True)
class Tiny(LlmServer):
    """This engine is what a stranger writes after reading steps 1 to 3."""

    own_prefix: ClassVar[str] = "tiny."
    program: ClassVar[str] = "tiny-server"

    def resident_command(self, allocation: Allocation, device_env: Mapping[str, str]) -> Command:
        service = self.service
        argv: tuple[str, ...] = (self.executable, "--port", "{port}", *service.args)
        argv += flags(self.options(allocation))
        return command_of(service, argv, device_env, allocation, service.model)

    def figures(self, url: str, log: str) -> dict[str, Any]:
        return {"kv_tokens": None, "kv_cache_mib": None, "max_model_len": None}


@dataclass(frozen=True, slots=True)
class TinyBeside(AnyCommand):
    """This engine is the same for a service beside the turn."""

    def resident_command(self, allocation: Allocation, device_env: Mapping[str, str]) -> Command:
        service = self.service
        argv = (
            f"{service.model}/tiny-server",
            "--port",
            "{port}",
            *flags(allocation.options(self.prefix)),
        )
        return command_of(service, argv, device_env, allocation, service.model)


@dataclass(frozen=True, slots=True)
class TinySpeech(SpeechServer):
    """This engine is the same for the speech of turns."""

    packages: ClassVar[tuple[str, ...]] = ()

    def own_conditions(self) -> dict[str, Any]:
        return {}

    def lack(self, versions: Mapping[str, str]) -> str | None:
        return None

    def misfit(self, versions: Mapping[str, str], driver: str) -> str | None:
        return None

    def unable(self, compute: float, precision: str) -> str | None:
        return None

    def memory(self, allocation: Allocation, parameters: int | None, host: Host) -> SpeechMemory:
        return SpeechMemory(None, "nobody knows")

    def resident_command(self, allocation: Allocation, device_env: Mapping[str, str]) -> Command:
        model = self.model(allocation)
        argv = (f"{model}/tiny-server", "--port", "{port}", *flags(self.options(allocation)))
        return command_of(self.service, argv, device_env, allocation, model)


def program(folder: Path) -> None:
    """Write a server of fakes that is started as `./tiny-server`."""
    file = folder / "tiny-server"
    file.write_text(f'#!/bin/sh\nexec python3 -IS {FAKE} "$@" --mood slow\n')
    file.chmod(0o755)


def measured(folder: Path, **changes: Any) -> tuple[Spec, Measurement]:
    """Measure what is in use today of a live study of fakes with these top-level keys."""
    path = folder / "tiny.yaml"
    data = {**FAKES, "measure": "live", **changes}
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    spec = load(path)
    job = Job(spec.baseline, 0, folder / "0")
    with Colocation(setting_of(spec), device_set(Shelf()), folder) as colocation:
        outcome = colocation.measure(job)
    assert outcome.measurement is not None, outcome.failure or outcome.setup_error
    assert outcome.measurement.failure_rate == 0
    return spec, outcome.measurement


def test_it_is_a_class_a_line_and_a_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LLM_ENGINES, "tiny", Tiny)
    program(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text('{"vocab_size": 2048}')
    llm = {"engine": "tiny", "program": "./tiny-server", "model": "model"}
    spec, figures = measured(
        tmp_path,
        services={**FAKES["services"], "llm": llm},
        search_space={"tiny.delay": [0.02, 0.05], "whisper_model_size": ["base"]},
        baseline={"tiny.delay": 0.05, "whisper_model_size": "base"},
        bounds={},
    )
    llm_figures = figures.services["llm"]
    assert llm_figures.offered and llm_figures.ttft_p95_ms and llm_figures.kv_tokens is None
    argv = llm_engine(LlmService(engine="tiny")).command(spec.baseline, {}).argv
    assert argv == ("tiny-server", "--port", "{port}", "--delay", "0.05")


def test_so_is_one_beside_the_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OTHER_ENGINES, "tiny", TinyBeside)
    program(tmp_path)
    embed = {"engine": "tiny", "api": "embeddings", "model": str(tmp_path), "per_s": 4}
    spec, figures = measured(
        tmp_path,
        services={**FAKES["services"], "embed": embed},
        search_space={**FAKES["search_space"], "embed.delay": [0.01, 0.02]},
        baseline={**FAKES["baseline"], "embed.delay": 0.02},
        gates={"llm_quality": "unmeasured"},
    )
    assert figures.services["embed"].offered and figures.services["embed"].latency_p95_ms
    argv = engine_of("embed", spec.services["embed"]).command(spec.baseline, {}).argv
    assert argv[1:] == ("--port", "{port}", "--delay", "0.02")


def test_so_is_one_of_the_speech_of_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SPEECH_ENGINES, "tiny", TinySpeech)
    program(tmp_path)
    stt = {"engine": "tiny", "models": {"base": str(tmp_path)}}
    spec, figures = measured(
        tmp_path,
        services={**FAKES["services"], "stt": stt},
        search_space={**FAKES["search_space"], "stt.delay": [0.01, 0.02]},
        baseline={**FAKES["baseline"], "stt.delay": 0.02},
    )
    assert figures.services["stt"].offered and figures.services["stt"].word_errors
    argv = engine_of("stt", spec.services["stt"]).command(spec.baseline, {}).argv
    assert argv[1:] == ("--port", "{port}", "--delay", "0.02")
