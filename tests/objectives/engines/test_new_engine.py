"""An engine that the guide's page says how to add is loaded, launched, measured and told apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from fakes import FAKE
from live_factories import FAKES, Shelf

from objectives.allocation import Allocation
from objectives.colocation.colocation import Colocation
from objectives.devices.device_set import device_set
from objectives.engines.command import Command, command_of
from objectives.engines.llm_server import LlmServer, flags
from objectives.engines.registry import LLM_ENGINES, llm_engine
from objectives.evaluation import Job
from objectives.services import LlmService
from study.spec.load import load
from study.spec.setting import setting_of


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


def test_it_is_a_class_a_line_and_a_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LLM_ENGINES, "tiny", Tiny)  # type: ignore[arg-type]
    program = tmp_path / "tiny-server"
    program.write_text(f'#!/bin/sh\nexec python3 -IS {FAKE} "$@" --mood slow\n')
    program.chmod(0o755)
    (tmp_path / "model").mkdir()
    (tmp_path / "model/config.json").write_text('{"vocab_size": 2048}')
    llm = {"engine": "tiny", "program": "./tiny-server", "model": "model"}
    data = {
        **FAKES,
        "services": {**FAKES["services"], "llm": llm},
        "search_space": {"tiny.delay": [0.02, 0.05], "whisper_model_size": ["base"]},
        "baseline": {"tiny.delay": 0.05, "whisper_model_size": "base"},
        "bounds": {},
        "measure": "live",
    }
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    spec = load(path)
    job = Job(spec.baseline, 0, tmp_path / "0")
    with Colocation(setting_of(spec), device_set(Shelf()), tmp_path) as colocation:
        measured = colocation.measure(job).measurement
    assert measured is not None and measured.failure_rate == 0
    llm_figures = measured.services["llm"]
    assert llm_figures.offered and llm_figures.ttft_p95_ms and llm_figures.kv_tokens is None
    argv = llm_engine(LlmService(engine="tiny")).command(spec.baseline, {}).argv
    assert argv == ("tiny-server", "--port", "{port}", "--delay", "0.05")
