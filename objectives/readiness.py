"""Ready means an answer: a real completion and a real transcription, not an open port."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import httpx

from objectives.command import LlmService
from objectives.load.clips import Clip
from objectives.load.workload import prompt


def llm_ready(url: str, service: LlmService) -> bool:
    """Whether /health is 200 and one real completion came back."""
    vocabulary = vocabulary_of(service)
    body = {
        "model": service.served_model,
        "prompt": prompt(8, 0, vocabulary) if vocabulary else "Say yes.",
        "max_tokens": 1,
        "ignore_eos": True,
    }
    try:
        if httpx.get(url + service.health_path, timeout=5, trust_env=False).status_code != 200:
            return False
        answer = httpx.post(url + "/v1/completions", json=body, timeout=60, trust_env=False)
        return answer.status_code == 200 and bool(answer.json()["choices"])
    except (httpx.HTTPError, ValueError, KeyError):
        return False


def stt_ready(url: str, health_path: str, clip: Clip) -> bool:
    """Whether its health page is 200 and one real transcription came back."""
    try:
        if httpx.get(url + health_path, timeout=5, trust_env=False).status_code != 200:
            return False
        answer = httpx.post(
            url + "/v1/audio/transcriptions",
            files={"file": (clip.name, clip.audio, "audio/flac")},
            data={"model": "whisper-1"},
            timeout=60,
            trust_env=False,
        )
        return answer.status_code == 200 and "text" in answer.json()
    except (httpx.HTTPError, ValueError):
        return False


def engine_metrics(url: str, path: str | None) -> str:
    """The server's Prometheus page; empty where it has none."""
    if path is None:
        return ""
    try:
        answer = httpx.get(url + path, timeout=10, trust_env=False)
    except httpx.HTTPError:
        return ""
    return answer.text if answer.status_code == 200 else ""


def vocabulary_of(service: LlmService) -> int | None:
    """How many token ids prompts may use: as the spec says, or from the model's config.json, else None."""
    if service.vocabulary is not None:
        return service.vocabulary
    return None if service.command is not None else _vocabulary(service.model)


@cache
def _vocabulary(model: str) -> int | None:
    try:
        config = json.loads((Path(model) / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    size = config.get("vocab_size") or config.get("text_config", {}).get("vocab_size")
    return int(size) if size else None
