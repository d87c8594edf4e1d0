"""A look at what runs now says how the device is divided, and writes the spec to measure it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from objectives.devices.device import Device
from objectives.devices.open_device import open_device
from objectives.errors import BadInput, SetupError
from study.init_spec.forms.running import Running
from study.init_spec.places import places_of
from study.init_spec.roles import UnitServices
from study.init_spec.servers.llm_unit import Llm, read_llm
from study.init_spec.servers.speech_unit import SpeechUnit, read_stt
from study.init_spec.write_spec import spec_of, write_spec
from study.quick.pressure import pressure
from study.quick.processes import llm_processes, speech_processes
from study.quick.words import division, of_cache, of_llm, of_speech

NO_SPEC = "no spec written"
Server = TypeVar("Server", Llm, SpeechUnit)


@dataclass(frozen=True, slots=True)
class QuickOptions:
    """These options come from the command line.

    Args:
        spec: The spec to write.
        name: The study's name.
        device: `cuda`, an index, a UUID or `cpu`; None: the first GPU, or the CPU without one.
        size: `VARIABLE=VALUE` of an application that has Whisper inside.
        watch_s: How long to look at the KV cache, seconds.
    """

    spec: Path
    name: str
    device: str | None
    size: str | None
    watch_s: float


def look(options: QuickOptions, tell: Callable[[str], None]) -> None:
    """Tell what runs and write the spec, where one LLM and one speech server are seen.

    Raises:
        BadInput: The spec cannot be written.
        SetupError: The device that was asked for is not there.
    """
    name, device = _device(options.device, tell)
    unread: list[str] = []
    llms = _read(llm_processes(), read_llm, unread)
    speeches = _read(speech_processes(), lambda r: _speech(r, options.size), unread)
    services = {of_llm(x): x.running.pids for x in llms}
    services |= {of_speech(x): x.running.pids for x in speeches}
    occupants = device.occupants()
    for line in division(device.identity, device.sample().free_mib, occupants, services):
        tell(line)
    if any(o.mib is None for o in occupants):
        for service in services:
            tell(service)
    for llm in llms:
        tell(of_cache(llm.port, pressure(llm.port, options.watch_s / len(llms))))
    for line in unread:
        tell(f"not understood: {line}")
    if len(llms) != 1 or len(speeches) != 1:
        tell(f"{NO_SPEC}: {_lack(llms, speeches)}")
        return
    if options.spec.exists():
        tell(f"{NO_SPEC}: {options.spec} exists and stays as it is; --out names another")
        return
    _write(options, name, llms[0], speeches[0], tell)


def _device(name: str | None, tell: Callable[[str], None]) -> tuple[str, Device]:
    if name is not None:
        return name, open_device(name)
    try:
        return "cuda", open_device("cuda")
    except SetupError:
        tell("no NVIDIA GPU is seen here (NVML): this is the host's own memory")
        return "cpu", open_device("cpu")


def _read(
    processes: Sequence[Running], read: Callable[[Running], Server], unread: list[str]
) -> list[Server]:
    """Read each process; what cannot be read is added to `unread`, with the reason."""
    services = []
    for process in processes:
        try:
            services.append(read(process))
        except BadInput as error:
            unread.append(str(error))
    return services


def _speech(process: Running, size: str | None) -> SpeechUnit:
    """Read a speech server by what it says itself, and only else by the size that was given."""
    try:
        return read_stt(process)
    except BadInput:
        if size is None:
            raise
        return read_stt(process, size)


def _lack(llms: Sequence[Llm], speeches: Sequence[SpeechUnit]) -> str:
    """Say why there is no spec, and the way out."""
    seen = [
        f"{len(servers) or 'no'} {what} server{'s' * (len(servers) != 1)}"
        for what, servers in (("LLM", llms), ("speech", speeches))
    ]
    why = f"{' and '.join(seen)} seen, and a spec needs one of each"
    return (
        f"{why} (another user's processes are seen as root only). With units of systemd: "
        "scripts/init_spec.py --unit LLM --unit SPEECH; else: cp study/specs/gpu.yaml my_gpu.yaml"
    )


def _write(
    options: QuickOptions, device: str, llm: Llm, speech: SpeechUnit, tell: Callable[[str], None]
) -> None:
    services = UnitServices(llm, speech)
    places = places_of(services, device if options.device or device == "cpu" else None)
    notes = [*llm.notes, *speech.notes, *places.notes]
    spec = spec_of(options.name, places, services, None)
    head = [
        f"Written by scripts/quick.py on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC from "
        f"{llm.running.label} and {speech.running.label}, as they ran.",
        "Every key is explained in study/specs/gpu.yaml.",
        "workload.turns_per_s is a guess: write how often your users speak to the LLM today.",
        *notes,
    ]
    notes += write_spec(options.spec, head, spec)
    for note in notes:
        tell(f"note: {note}")
    tell(f"wrote {options.spec}; next:")
    tell(f"  python scripts/run_study.py {options.spec} --dry-run")
