"""The engine faster-whisper: this module knows its command line, readiness and packages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from objectives.allocation import Allocation, Scalar
from objectives.apis.api import Endpoint
from objectives.apis.tls import certificates
from objectives.apis.transcription import Transcriptions
from objectives.engines.command import Command, filled, flag
from objectives.services import SttService
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Workload

TRANSCRIBER = Path(__file__).parents[1] / "transcriber.py"
STT_PACKAGES = ("faster-whisper", "ctranslate2")


@dataclass(frozen=True, slots=True)
class FasterWhisper:
    """Our speech server on faster-whisper, or another one that a template starts.

    Args:
        service: Which models it serves, and how it is started.
        name: The service that it serves.
    """

    service: SttService
    name: str = "stt"

    def command(self, allocation: Allocation, device_env: Mapping[str, str]) -> Command:
        """Return the server's command; `whisper.<option>` parameters override the service's."""
        service = self.service
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
        for option, value in options.items():
            argv += flag(option.replace("_", "-"), value)
        return Command(argv + service.args, env, service.health_path, service.start_timeout_s)

    def share(self, allocation: Allocation) -> None:
        """Return None: it takes what its model needs."""

    def is_ready(self, url: str, clip: Clip) -> bool:
        """Return whether the health page is 200 and one real transcription came back."""
        try:
            health_url = url + self.service.health_path
            if (
                httpx.get(health_url, timeout=5, trust_env=False, verify=certificates()).status_code
                != 200
            ):
                return False
            answer = httpx.post(
                url + Transcriptions.path,
                files={"file": (clip.name, clip.audio, "audio/flac")},
                data={"model": "whisper-1"},
                timeout=60,
                trust_env=False,
                verify=certificates(),
            )
            return answer.status_code == 200 and "text" in answer.json()
        except (httpx.HTTPError, ValueError):
            return False

    def figures(self, url: str, log: str) -> dict[str, Any]:  # noqa: ARG002  it tells nothing
        """Return nothing: it tells nothing of itself."""
        return {}

    def bounds(
        self,
        figures: Mapping[str, Any],  # noqa: ARG002
        workload: Workload,  # noqa: ARG002
        allocation: Allocation,  # noqa: ARG002
    ) -> dict[str, Any]:
        """Return nothing: its memory bounds no number of requests."""
        return {}

    def endpoint(self, url: str) -> Endpoint:
        """Return where it listens, and how it is spoken to."""
        return Endpoint(url, Transcriptions())
