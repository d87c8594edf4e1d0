"""The two units that run today become two files: a spec and a deployment."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from objectives.devices.device import Device, Occupant
from objectives.devices.open_device import open_device
from objectives.errors import BadInput, SetupError
from study.init_spec.gpu_processes import Others, observe
from study.init_spec.llm_unit import Llm, read_llm
from study.init_spec.running_units import Running, running, serves_llm
from study.init_spec.speech_unit import Speech, read_stt
from study.init_spec.write_spec import deployment_of, spec_of, write_checked


@dataclass(frozen=True, slots=True)
class InitOptions:
    """These options come from the command line.

    Args:
        units: The two units.
        spec: The spec to write.
        deployment: The deployment file to write.
        name: The study's name.
        device: The device; None: that of the LLM unit.
        size: `VARIABLE=VALUE` of an application that has Whisper inside.
        observe_s: How long to watch the neighbours, s; None: not at all.
    """

    units: tuple[str, ...]
    spec: Path
    deployment: Path
    name: str
    device: str | None = None
    size: str | None = None
    observe_s: float | None = None


def write_files(options: InitOptions, tell: Callable[[str], None]) -> None:
    """Write the spec and the deployment file from the units that run today; change nothing else.

    Raises:
        BadInput: A file exists, or a unit does not tell what the study needs.
        SetupError: No systemd runs.
    """
    for path in (options.spec, options.deployment):
        if path.exists():
            raise BadInput(
                f"{path} exists; move it away, or name others with --out and --deployment"
            )
    llm, stt = services([running(u) for u in options.units], options.size)
    name = options.device or _device(llm)
    device = _opened(name, tell)
    others = _others(options, device, tell)
    held = _held(device, stt.running)
    notes = [*llm.notes, *stt.notes]
    if not stt.running.ports:
        notes.append(
            f"{stt.running.unit} listens on no port: nothing can be asked of it after a change"
        )
    if others is not None:
        notes.append(
            f"others held {others.least_mib:,.0f} to {others.peak_mib:,.0f} MiB "
            f"in {others.looks} looks ({others.largest}); reserve_mib is what they may grow by"
        )
    elif options.observe_s is not None:
        notes.append("what other processes hold could not be seen here: set reserve_mib yourself")
    origin = (
        f"Written by scripts/init_spec.py on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC "
        f"from {llm.running.unit} and {stt.running.unit}, as they ran."
    )
    head = [
        origin,
        "Every key is explained in study/specs/gpu.yaml.",
        "workload.turns_per_s is a guess: write how often your users speak to the LLM today.",
        *notes,
    ]
    write_checked(options.spec, head, spec_of(options.name, name, llm, stt, others))
    head = [
        origin,
        "Every key: study/deploy/config/deployment.py and deployed.py.",
        *notes,
    ]
    write_checked(options.deployment, head, deployment_of(options.name, name, llm, stt, held))
    for note in notes:
        tell(f"note: {note}")
    tell(
        f"today: {llm.share:g} of the memory for {llm.model}, speech {stt.size}; "
        f"wrote {options.spec}, {options.deployment}"
    )
    lend = " ".join(f"--lend-from {u}" for u in options.units)
    tell(f"next: sudo .venv/bin/python scripts/run_study.py {options.spec} {lend} --dry-run")


def services(units: Sequence[Running], size: str | None) -> tuple[Llm, Speech]:
    """Tell which of two units runs vLLM and which holds Whisper, and read both.

    Args:
        size: As in `InitOptions`.

    Raises:
        BadInput: They are not one of each.
    """
    llms = [u for u in units if serves_llm(u.argv)]
    others = [u for u in units if not serves_llm(u.argv)]
    if len(llms) != 1 or len(others) != 1:
        names = ", ".join(u.unit for u in llms) or "none"
        raise BadInput(
            f"one --unit must run vLLM and one hold Whisper; running vLLM: {names}. "
            "See study/specs/gpu.yaml"
        )
    return read_llm(llms[0]), read_stt(others[0], size)


def _device(llm: Llm) -> str:
    """Return the device that the unit is confined to, or the first."""
    visible = llm.running.env.get("CUDA_VISIBLE_DEVICES", "")
    return visible if re.fullmatch(r"[0-9]{1,3}|(GPU|MIG)-[0-9A-Za-z/-]+", visible) else "cuda"


def _opened(name: str, tell: Callable[[str], None]) -> Device | None:
    try:
        return open_device(name)
    except SetupError as error:
        tell(f"note: {error}")
        return None


def _others(
    options: InitOptions, device: Device | None, tell: Callable[[str], None]
) -> Others | None:
    if options.observe_s is None or device is None:
        return None

    def own() -> set[int]:
        return {pid for u in options.units for pid in running(u).pids}

    return observe(device, own, options.observe_s, tell)


def _held(device: Device | None, unit: Running) -> float | None:
    """Return what the speech unit holds on the device now, MiB."""
    occupants: list[Occupant] = device.occupants() if device else []
    held = [o.mib for o in occupants if o.pid in unit.pids and o.mib is not None]
    return round(sum(held)) if held else None
