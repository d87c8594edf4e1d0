"""Look at two units, watch their neighbours if asked, and write the two files."""

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
from study.init_spec.write_spec import deployment_of, spec_of, write


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks.

    device: None takes that of the LLM unit; size: `VARIABLE=VALUE` of an application that has Whisper inside
    """

    units: tuple[str, ...]
    spec: Path
    deployment: Path
    name: str
    device: str | None = None
    size: str | None = None
    observe_s: float | None = None


def start(asked: Asked, tell: Callable[[str], None]) -> None:
    """Write the spec and the deployment file from the units that run today; changes nothing else.

    raises: BadInput, SetupError
    """
    for path in (asked.spec, asked.deployment):
        if path.exists():
            raise BadInput(
                f"{path} exists; move it away, or name others with --out and --deployment"
            )
    llm, stt = services([running(u) for u in asked.units], asked.size)
    name = asked.device or _device(llm)
    device = _opened(name, tell)
    others = _others(asked, device, tell)
    held = _held(device, stt.running)
    notes = [*llm.notes, *stt.notes]
    if not stt.running.ports:
        notes.append(
            f"{stt.running.unit} listens on no port: nothing can be asked of it after a change"
        )
    if others is not None:
        notes.append(
            f"others held {others.least_mib:,.0f} to {others.peak_mib:,.0f} MiB in {others.looks} looks "
            f"({others.largest}); reserve_mib is what they may grow by"
        )
    elif asked.observe_s is not None:
        notes.append("what other processes hold could not be seen here: set reserve_mib yourself")
    made = f"Written by scripts/init_spec.py on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC from {llm.running.unit} and "
    head = [
        f"{made}{stt.running.unit}, as they ran.",
        "Every key is explained in study/specs/gpu.yaml.",
        *notes,
    ]
    write(asked.spec, head, spec_of(asked.name, name, llm, stt, others))
    head = [
        f"{made}{stt.running.unit}, as they ran.",
        "Every key: study/deploy/config/deployment.py.",
        *notes,
    ]
    write(asked.deployment, head, deployment_of(asked.name, name, llm, stt, held))
    for note in notes:
        tell(f"note: {note}")
    tell(
        f"today: {llm.share:g} of the memory for {llm.model}, speech {stt.size}; wrote {asked.spec}, {asked.deployment}"
    )
    lend = " ".join(f"--lend-from {u}" for u in asked.units)
    tell(f"next: sudo .venv/bin/python scripts/run_study.py {asked.spec} {lend} --dry-run")


def services(units: Sequence[Running], size: str | None) -> tuple[Llm, Speech]:
    """Which of the two is which.

    raises: BadInput
    """
    llms = [u for u in units if serves_llm(u)]
    others = [u for u in units if not serves_llm(u)]
    if len(llms) != 1 or len(others) != 1:
        found = ", ".join(u.unit for u in llms) or "none"
        raise BadInput(
            f"one --unit must run vLLM and one hold Whisper; running vLLM: {found}. See study/specs/gpu.yaml"
        )
    return read_llm(llms[0]), read_stt(others[0], size)


def _device(llm: Llm) -> str:
    """The device that the unit is confined to, or the first."""
    visible = llm.running.env.get("CUDA_VISIBLE_DEVICES", "")
    return visible if re.fullmatch(r"[0-9]{1,3}|(GPU|MIG)-[0-9A-Za-z/-]+", visible) else "cuda"


def _opened(name: str, tell: Callable[[str], None]) -> Device | None:
    try:
        return open_device(name)
    except SetupError as error:
        tell(f"note: {error}")
        return None


def _others(asked: Asked, device: Device | None, tell: Callable[[str], None]) -> Others | None:
    if asked.observe_s is None or device is None:
        return None

    def own() -> set[int]:
        return {pid for u in asked.units for pid in running(u).pids}

    return observe(device, own, asked.observe_s, tell)


def _held(device: Device | None, unit: Running) -> float | None:
    """What the speech unit holds on the device now, MiB."""
    occupants: list[Occupant] = device.occupants() if device else []
    held = [o.mib for o in occupants if o.pid in unit.pids and o.mib is not None]
    return round(sum(held)) if held else None
