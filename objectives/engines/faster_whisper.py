"""The engine faster-whisper: this module knows its command line, readiness and packages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import httpx

from objectives.allocation import Allocation, Scalar
from objectives.engines.command import Command, filled, flag
from objectives.services import SttService
from objectives.traffic.clips import Clip

TRANSCRIBER = Path(__file__).parents[1] / "transcriber.py"


def stt_command(
    allocation: Allocation, service: SttService, device_env: Mapping[str, str]
) -> Command:
    """Return the speech server's command; `whisper.<option>` parameters override the service's."""
    env = {"HF_HUB_OFFLINE": "1", "PYTHONSAFEPATH": "1"} | dict(device_env) | dict(service.env)
    model = service.models.get(allocation.speech, allocation.speech)
    if service.command is not None:
        argv = filled(service.command, allocation, {"model": model})
        return Command(argv, env, service.health_path, service.start_timeout_s)
    options: dict[str, Scalar] = {
        "device": service.device,
        "compute_type": service.compute_type,
        "beam_size": service.beam_size,
        "language": service.language,
        "extra_mib": service.extra_mib,
    }
    if allocation.speech in service.random_weights:
        options |= {"fixed_output": True, "max_new_tokens": service.fixed_output_tokens}
    options |= allocation.options("whisper.")
    argv = (service.python, str(TRANSCRIBER), "--model", model, "--port", "{port}")
    for name, value in options.items():
        argv += flag(name.replace("_", "-"), value)
    return Command(argv + service.args, env, service.health_path, service.start_timeout_s)


STT_PACKAGES = ("faster-whisper", "ctranslate2")


def stt_ready(url: str, health_path: str, clip: Clip) -> bool:
    """Return whether the health page is 200 and one real transcription came back."""
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
