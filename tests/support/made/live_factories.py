"""This module makes specs, settings and promotions of fake servers, and a device of numbers."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from fake_servers.fakes import FAKE
from made.factories import write_spec

from objectives.allocation import Allocation
from objectives.devices.device import Identity, Occupant, Sample
from objectives.devices.device_set import device_set
from objectives.evaluation import Step
from objectives.services import LlmService, SttService
from objectives.setting import Setting
from objectives.traffic.workload import Workload
from study.bench.bench import Bench
from study.promotion import seal
from study.spec.load import load
from study.spec.setting import setting_of
from study.wording.phases import phase_in_words

SERVER = f"{sys.executable} -IS {FAKE} --port {{port}}"
LOW = Allocation({"vllm_memory_util": 0.4, "whisper_model_size": "base"})
FAKES: dict[str, Any] = {
    "name": "fakes",
    "device": "cpu",
    "search_space": {"vllm_memory_util": [0.06, 0.1], "whisper_model_size": ["base"]},
    "bounds": {"vllm_memory_util": [0.05, 0.7]},
    "baseline": {"vllm_memory_util": 0.1, "whisper_model_size": "base"},
    "services": {
        "llm": {
            "command": f"{SERVER} --delay {{vllm_memory_util}} --mood slow",
            "vocabulary": 2048,
        },
        "stt": {"command": f"{SERVER} --label {{whisper_model_size}} --delay 0.002 --mood slow"},
    },
    "workload": {
        "window_s": 1,
        "words": "assistant",
        "llm_per_s": 6,
        "stt_per_s": 6,
        "prompt_tokens": [8, 16],
        "output_tokens": 4,
        "ramp_s": 0,
        "alone_requests": 0,
        "request_timeout_s": 20,
    },
    "reserve_mib": 100,
}


class Shelf:
    """A shelf is a device of numbers: a test says what is free, and every server holds 100 MiB."""

    identity = Identity("Shelf", "shelf-0", 10_000.0, None, None)
    compute = None
    server_env = MappingProxyType({"SHELF": "0"})
    free_mib = 8_000.0

    def sample(self):
        return Sample(time.monotonic(), self.free_mib)

    def occupants(self):
        return [Occupant(1, "desktop", 300.0, None), Occupant(2, "a game", 4000.0, "game.service")]

    def held_mib(self, pid):
        return 100.0


def live(folder: Path, *, delay_s: float = 0.001) -> Path:
    """Write a live spec of three small shares and a large reserve, which runs on any machine.

    Args:
        folder: Where it is to lie.
        delay_s: How long each server waits before an answer, as before each clip of words.
    """
    server = f"{SERVER} --mood well --delay {delay_s} --label"
    return write_spec(
        folder,
        measure="live",
        search_space={"vllm_memory_util": [0.01, 0.02, 0.03], "whisper_model_size": ["base"]},
        bounds={"vllm_memory_util": [0.01, 0.03]},
        baseline={"vllm_memory_util": 0.01, "whisper_model_size": "base"},
        services={
            "llm": {"command": f"{server} {{vllm_memory_util}}"},
            "stt": {"command": f"{server} {{whisper_model_size}}"},
        },
        workload={
            "window_s": 1,
            "words": "assistant",
            "llm_per_s": 6,
            "stt_per_s": 6,
            "prompt_tokens": [8, 16],
            "output_tokens": 2,
            "ramp_s": 0,
            "alone_requests": 1,
        },
        selector={"population_size": 3, "exhausted": "stop"},
        reserve_mib=1e6,
        precheck="report",
    )


def promotion(folder: Path, changes: dict[str, Any] | None = None, **more: Any) -> Path:
    """Write a sealed candidate of the fake servers and its spec.

    `changes` are of the spec, `more` of the promotion.
    """
    spec = folder / "fakes.yaml"
    spec.write_text(yaml.safe_dump(FAKES | (changes or {}), sort_keys=False))
    data = {
        "schema": 2,
        "status": "candidate",
        "name": "fakes",
        "parameters": {"vllm_memory_util": 0.06, "whisper_model_size": "base"},
        "baseline": {"vllm_memory_util": 0.1, "whisper_model_size": "base"},
        "spec": {"file": str(spec), "sha256": "0"},
        "device": {"product": Shelf.identity.product, "uuid": "shelf-0", "total_mib": 10_000},
        "versions": {"llm": {}, "stt": {}},
    }
    path = folder / "fakes_1.yaml"
    seal.put(data | more, path)
    return path


def shelf(spec_file: Path) -> Bench:
    """Return the fake servers on a device of numbers."""
    return Bench(device_set(Shelf()), setting_of(load(spec_file)), {"llm": {}, "stt": {}}, ())


def services(llm="well", stt="well", *, start_timeout_s=30.0, is_scored=False):
    """Return an LLM and a speech server of these moods; the time is that of the LLM's start."""
    return {
        "llm": LlmService(
            command=f"{SERVER} --label {{vllm_memory_util}} --mood {llm}",
            vocabulary=2048,
            start_timeout_s=start_timeout_s,
        ),
        "stt": SttService(
            command=f"{SERVER} --label {{whisper_model_size}} --mood {stt}",
            random_weights=() if is_scored else ("base", "tiny"),
            start_timeout_s=30.0,
        ),
    }


def setting(
    llm="well",
    stt="well",
    *,
    start_timeout_s=30.0,
    is_scored=False,
    tenants=(),
    limits=None,
    **workload,
):
    plan: dict[str, Any] = {
        "window_s": 0.5,
        "llm_per_s": 16,
        "stt_per_s": 16,
        "prompt_tokens": (8, 16),
        "output_tokens": 4,
    }
    plan |= {"ramp_s": 0, "alone_requests": 1, "request_timeout_s": 20} | workload
    both = services(llm, stt, start_timeout_s=start_timeout_s, is_scored=is_scored)
    return Setting(
        services=both,
        workload=Workload(**plan),
        tenants=tenants,
        **({"limits": limits} if limits else {}),
    )


class Phases(list):
    """These are the phases that a measurement went through, in order."""

    @property
    def launches(self):
        """Count how often both were loaded, and how often it was tried once more."""
        steps = [phase.step for phase in self]
        return steps.count(Step.LOADING), steps.count(Step.RETRYING)

    @property
    def retries(self):
        """Say why it was tried once more, each time."""
        return [phase_in_words(phase) for phase in self if phase.step is Step.RETRYING]
