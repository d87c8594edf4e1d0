"""The engine faster-whisper: this module knows its command line, readiness and packages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from objectives.allocation import SPEECH, Allocation, Scalar
from objectives.apis.api import ApiName, Endpoint
from objectives.apis.short_requests import Ask, answers_once_healthy
from objectives.apis.transcription import Transcriptions, content_type, transcript
from objectives.engines.command import Command, command_of, flag, is_at_least
from objectives.engines.faster_whisper.fit import speech_memory, speech_parameters
from objectives.engines.faster_whisper.unit import FORM
from objectives.engines.places import place_of
from objectives.engines.unit_form import UnitForm
from objectives.fit.cell import SpeechMemory
from objectives.on_demand.resident import RESIDENT, waker_conditions, with_waker, woken
from objectives.services import COMPUTE_TYPES, SttService
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Workload

# by number format: the least compute capability of a card (CTranslate2, "Quantization and reduced
# precision"); float32 runs everywhere, and its own variable lets float16 do so, slowly
ALLOW_FLOAT16 = "CT2_CUDA_ALLOW_FP16"
LEAST_COMPUTE: Mapping[str, float] = {
    "int8": 6.1,
    "int8_float32": 6.1,
    "int8_float16": 7.0,
    "float16": 7.0,
    "int8_bfloat16": 8.0,
    "bfloat16": 8.0,
}
TRANSCRIBER = Path(__file__).parents[2] / "transcriber.py"

SET_BY_STUDY = {
    "model": f"use {SPEECH}",
    "host": "leave it to the study",
    "port": "leave it to the study",
}


@dataclass(frozen=True, slots=True)
class FasterWhisper:
    """This engine is our server on faster-whisper, or another one that a template starts.

    Args:
        service: Which models it serves, and how it is started.
        name: The service that it serves.
    """

    service: SttService
    name: str = "stt"
    api: ClassVar[ApiName] = "transcription"
    symptoms: ClassVar[str] = api
    has_share: ClassVar[bool] = False
    has_kv_cache: ClassVar[bool] = False
    prefix: ClassVar[str] = "whisper."
    changes_answers: ClassVar[frozenset[str]] = frozenset()  # its words are counted
    version_command: ClassVar[tuple[str, ...]] = ()
    server_packages: ClassVar[tuple[str, ...]] = ("faster-whisper", "ctranslate2")
    packages: ClassVar[tuple[str, ...]] = server_packages
    title: ClassVar[str] = "faster-whisper"
    unit_form: ClassVar[UnitForm] = FORM
    options_of_ours: ClassVar[tuple[str, ...]] = (
        *("compute_type", "beam_size", "language", "extra_mib", "threads", "max_new_tokens"),
    )
    stack_flags: ClassVar[Mapping[str, str]] = {
        "compute_type": "--compute-type",
        "beam_size": "--beam-size",
    }
    quiet_death: ClassVar[str] = ""
    compiling: ClassVar[str] = ""

    def conditions(self) -> dict[str, Any]:
        """Return what of the service changes figures, as plain data."""
        service = self.service
        models = {size: Path(model).name for size, model in sorted(service.models.items())}
        data: dict[str, Any] = {
            "models": models,
            "device": service.device,
            "compute_type": service.compute_type,
            "beam_size": service.beam_size,
            "language": service.language,
            "extra_mib": service.extra_mib,
            "args": list(service.args),
            "env": dict(service.env),
            "command": service.command,
        }
        if service.random_weights:
            data["random_weights"] = list(service.random_weights)
            data["fixed_output_tokens"] = service.fixed_output_tokens
        return data | waker_conditions(service)

    def with_folders(self, folder_of: Callable[[str], str]) -> SttService:
        """Return the service with the folders of its models; a template names its own."""
        service = self.service
        if service.command:
            return service
        return replace(service, models={k: folder_of(v) for k, v in service.models.items()})

    def set_by_study(self, option: str) -> str | None:
        """Return what to write in place of an option that the study sets; None for any other."""
        return SET_BY_STUDY.get(option)

    def lack(self, versions: Mapping[str, str]) -> str | None:
        """Return in a sentence that faster-whisper is not installed; None where it is."""
        if "faster-whisper" in versions:
            return None
        python = self.service.python
        return (
            f"services.{self.name}.python: {python} has no faster-whisper; "
            f"run `{python} -m pip install faster-whisper`, or leave `python` out"
        )

    def misfit(self, versions: Mapping[str, str], driver: str) -> str | None:
        """Return in a sentence why a driver is too old for CTranslate2; None where it is not."""
        if "ctranslate2" not in versions or is_at_least(driver, 525):
            return None
        return (
            f"driver {driver} is older than 525, which CTranslate2 wheels (CUDA 12) need; "
            "update the driver"
        )

    def unable(self, compute: float, precision: str) -> str | None:
        """Return in a sentence that a card lacks a number format; None where it has it."""
        service = self.service
        kind = precision or (service.compute_type if service.device == "cuda" else "float16")
        least = LEAST_COMPUTE.get(kind, 0.0)
        is_known = service.command is None and ALLOW_FLOAT16 not in service.env
        if not is_known or compute >= least:
            return None
        return (
            f"CTranslate2 has {kind} from {least:g} on; "
            f"let {self.name} compute in another number format there: int8 from 6.1, or float32"
        )

    def parameters(self, size: str, folder: Path | None) -> int | None:
        """Return the parameters of the model of a size; None where they are not known.

        Args:
            size: Its size, e.g. `base`.
            folder: Where it lies; None where it is not on this machine.

        Raises:
            SetupError: Its file is cut short.
        """
        return speech_parameters(size, self.service.models[size], folder)

    def memory(
        self, allocation: Allocation, parameters: int | None, *, is_cpu: bool
    ) -> SpeechMemory:
        """Return what it takes of the device under an allocation.

        Args:
            allocation: The allocation.
            parameters: Those of its model; None where they are not known.
            is_cpu: Whether the device is the host's own memory.
        """
        place = place_of(self.name, self.service, allocation)
        precision = place.precision if place else ""
        return speech_memory(
            self.service, allocation, parameters, is_cpu=is_cpu, precision=precision
        )

    def command(self, allocation: Allocation, device_env: Mapping[str, str]) -> Command:
        """Return the server's command; `whisper.<option>` parameters override the service's."""
        service = self.service
        model = service.models.get(allocation.speech, allocation.speech)
        place = place_of(self.name, service, allocation)
        device, compute_type = service.device, service.compute_type
        if place is not None:
            usual = compute_type if place.kind == device else COMPUTE_TYPES[place.kind]
            device, compute_type = place.kind, place.precision or usual
        options: dict[str, Scalar] = {
            "device": device,
            "compute_type": compute_type,
            "beam_size": service.beam_size,
            "language": service.language,
            "extra_mib": service.extra_mib,
        }
        if self.is_random(allocation):
            options |= {"fixed_output": True, "max_new_tokens": service.fixed_output_tokens}
        options |= allocation.options(self.prefix)
        argv: tuple[str, ...] = (
            service.python,
            str(TRANSCRIBER),
            "--model",
            model,
            "--port",
            "{port}",
        )
        for option, value in options.items():
            argv += flag(option.replace("_", "-"), value)
        env = {"PYTHONSAFEPATH": "1", **device_env}
        command = command_of(service, argv + service.args, env, allocation, model)
        return replace(command, argv=woken(command.argv, self.name, service, allocation))

    def memory_key(self, allocation: Allocation) -> str:
        """Return its model and options: each may change what it holds."""
        return allocation.speech_key

    def settings(self, allocation: Allocation) -> str:
        """Return the size of its model and the options to set."""
        options = allocation.options(self.prefix) | allocation.options(f"{self.name}.")
        words = (f"{k}={v}" for k, v in options.items() if k != RESIDENT)
        settings = ", ".join([f"model size {allocation.speech}", *words])
        return with_waker(settings, self.name, self.service, allocation)

    def is_random(self, allocation: Allocation) -> bool:
        """Return whether its model has random weights."""
        return allocation.speech in self.service.random_weights

    def is_ready(self, url: str, within_s: float, clip: Clip) -> bool:
        """Return whether the health page is 200 and one real transcription came back in time."""
        sound = (clip.name, clip.audio, content_type(clip.name))
        body = {"files": {"file": sound}, "data": {"model": "whisper-1"}}
        ask = Ask("POST", url + Transcriptions.path, body)
        return answers_once_healthy(
            url + self.service.health_path, ask, transcript, within_s=within_s
        )

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
