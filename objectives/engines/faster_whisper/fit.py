"""A speech server on faster-whisper takes memory by its model and its number format."""

from __future__ import annotations

from pathlib import Path

from objectives.allocation import Allocation
from objectives.fit.beside_memory import KNOWN_SLACK
from objectives.fit.cell import SpeechMemory
from objectives.model_files.whisper import file_parameters, named_parameters
from objectives.plain_data.units import MIB
from objectives.services import SttService

# ready servers on an H100, float16 and int8_float16, tiny.en, base and small: within 60 MiB of it
PROCESS_MIB = {"cuda": 600.0, "cpu": 150.0}
A_WEIGHT = 1.4  # with its buffers; on a CPU with int8, tiny.en and base: within 50 MiB
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "int16": 2, "default": 2, "auto": 2}


def speech_parameters(size: str, model: str, folder: Path | None) -> int | None:
    """Return the parameters of a speech model; None for one that is not here nor known by name.

    Args:
        size: Its size, e.g. `base`.
        model: Its folder or hub id, as a spec names it.
        folder: Where it lies; None where it is not on this machine.

    Raises:
        SetupError: Its file is cut short.
    """
    if folder is not None and (file := folder / "model.bin").is_file():
        return file_parameters(file)
    return named_parameters(size) or named_parameters(model)


def speech_memory(
    service: SttService,
    allocation: Allocation,
    parameters: int | None,
    *,
    is_cpu: bool,
    precision: str = "",
) -> SpeechMemory:
    """Return what the speech server of an allocation takes on the device.

    Args:
        service: The speech server.
        allocation: The allocation.
        parameters: Those of its model; None where they are not known.
        is_cpu: Whether the device is the host's own memory.
        precision: The number format that its place names; empty for its own.
    """
    if service.command is not None:
        return SpeechMemory(None, "a template starts the speech server: its memory is not known")
    if service.device == "cpu" and not is_cpu:
        return SpeechMemory(0.0)
    if parameters is None:
        name = service.models.get(allocation.speech, allocation.speech)
        return SpeechMemory(None, f"the speech model {name} is not here, nor known by its name")
    own_kind = allocation.options("whisper.").get("compute_type", service.compute_type)
    kind = precision or str(own_kind)
    size = BYTES.get(kind, 1 if kind.startswith("int8") else 2)
    extra_mib = allocation.options("whisper.").get("extra_mib", service.extra_mib)
    model_mib = A_WEIGHT * parameters * size / MIB
    own_mib = PROCESS_MIB[service.device] + model_mib
    return SpeechMemory(own_mib + float(extra_mib), slack_mib=KNOWN_SLACK * own_mib)
