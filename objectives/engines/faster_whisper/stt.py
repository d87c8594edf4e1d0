"""The engine faster-whisper: this module knows its command line, readiness and packages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from objectives.allocation import SPEECH, Allocation, Scalar
from objectives.engines.command import Command, command_of, flag, is_at_least
from objectives.engines.faster_whisper.fit import speech_memory, speech_parameters
from objectives.engines.faster_whisper.unit import FORM
from objectives.engines.places import place_of
from objectives.engines.speech_server import SpeechServer
from objectives.engines.unit_form import UnitForm
from objectives.fit.cell import Host, SpeechMemory
from objectives.model_files.whisper import HUB
from objectives.services import COMPUTE_TYPES

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
# CTranslate2's number formats (its documentation, "Quantization and reduced precision")
PRECISIONS = (
    *("int8", "int8_float16", "int8_float32", "int8_bfloat16", "int16"),
    *("float16", "bfloat16", "float32"),
)
TRANSCRIBER = Path(__file__).parents[2] / "transcriber.py"

SET_BY_STUDY = {
    "model": f"use {SPEECH}",
    "host": "leave it to the study",
    "port": "leave it to the study",
}


@dataclass(frozen=True, slots=True)
class FasterWhisper(SpeechServer):
    """This engine is our server on faster-whisper, or another one that a template starts."""

    own_prefix: ClassVar[str] = "whisper."
    own_keys: ClassVar[frozenset[str]] = frozenset(
        {"device", "compute_type", "beam_size", "extra_mib"}
        | {"random_weights", "fixed_output_tokens"}
    )
    precisions: ClassVar[tuple[str, ...]] = PRECISIONS
    hub: ClassVar[Mapping[str, str]] = HUB
    set_by_us: ClassVar[Mapping[str, str]] = SET_BY_STUDY
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

    def own_conditions(self) -> dict[str, Any]:
        """Return what of its own keys changes figures, as plain data."""
        service = self.service
        data: dict[str, Any] = {
            "device": service.device,
            "compute_type": service.compute_type,
            "beam_size": service.beam_size,
            "language": service.language,
            "extra_mib": service.extra_mib,
        }
        if service.random_weights:
            data["random_weights"] = list(service.random_weights)
            data["fixed_output_tokens"] = service.fixed_output_tokens
        return data

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

    def memory(self, allocation: Allocation, parameters: int | None, host: Host) -> SpeechMemory:
        """Return what it takes of a device under an allocation.

        Args:
            allocation: The allocation.
            parameters: Those of its model; None where they are not known.
            host: The device.
        """
        place = place_of(self.name, self.service, allocation)
        precision = place.precision if place else ""
        return speech_memory(
            self.service, allocation, parameters, is_cpu=host.is_cpu, precision=precision
        )

    def resident_command(self, allocation: Allocation, device_env: Mapping[str, str]) -> Command:
        """Return the server's command; `whisper.<option>` parameters override the service's."""
        service = self.service
        model = self.model(allocation)
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
        return command_of(service, argv + service.args, env, allocation, model)
