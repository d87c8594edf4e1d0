"""The servers that run today become two files: a spec and a deployment."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from objectives.devices.device import Device, Occupant
from objectives.devices.open_device import open_device
from objectives.errors import SetupError
from study.cli.checkout import sudo_command
from study.deploy.config.load import load_deployment
from study.init_spec.forms.running import Running
from study.init_spec.gpu_processes import Others, observe
from study.init_spec.places import places_of
from study.init_spec.roles import UnitServices, services
from study.init_spec.sources import read_sources
from study.init_spec.write_deployment import deployment_of
from study.init_spec.write_spec import check_free, spec_of, write_checked, write_spec
from study.server_words.programs import program_of


@dataclass(frozen=True, slots=True)
class InitOptions:
    """These options come from the command line.

    Args:
        units: The units, containers or files that start the servers (`read_sources`).
        spec: The spec to write.
        deployment: The deployment file to write.
        name: The study's name.
        device: The device; None: that of the LLM unit.
        size: `VARIABLE=VALUE` of an application that has Whisper inside.
        observe_s: How long to watch the neighbours, s; None: not at all.
        llm_model: The model of an LLM server whose command names none.
    """

    units: tuple[str, ...]
    spec: Path
    deployment: Path
    name: str
    device: str | None = None
    size: str | None = None
    observe_s: float | None = None
    llm_model: str | None = None


def write_files(options: InitOptions, tell: Callable[[str], None]) -> None:
    """Write the spec and the deployment file from the units that run today; change nothing else.

    Raises:
        BadInput: A file exists, or a unit does not tell what the study needs.
        SetupError: No systemd runs.
    """
    for path in (options.spec, options.deployment):
        check_free(path)
    today = services(read_sources(options.units), options.size, options.llm_model)
    llm, stt = today.llm, today.stt
    places = places_of(today, options.device)
    name = places.main
    device = _opened(name, tell)
    others = _others(options, device, tell)
    held = _held(device, stt.running)
    notes = [*llm.notes, *stt.notes, *today.notes, *places.notes, *_unnamed(device, today)]
    if not stt.running.ports and stt.running.pids:
        notes.append(
            f"{stt.running.label} listens on no port: nothing can be asked of it after a change"
        )
    notes += [
        f"{name} sleeps until {s.socket} wakes it: {name}.resident asks whether that is worth it"
        for name, s in today.asleep.items()
    ]
    if others is not None:
        notes.append(
            f"others held {others.least_mib:,.0f} to {others.peak_mib:,.0f} MiB "
            f"in {others.looks} looks ({others.largest}); reserve_mib is what they may grow by"
        )
    elif options.observe_s is not None:
        notes.append("what other processes hold could not be seen here: set reserve_mib yourself")
    origin = (
        f"Written by scripts/init_spec.py on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC from "
        + ", ".join(dict.fromkeys(u.label for u in today.running))
        + (", as they ran." if all(map(_ran, today.running)) else ", as they are written.")
    )
    deployment, more = deployment_of(options.name, name, today, held)
    head = [
        origin,
        "Every key is explained in study/specs/gpu.yaml.",
        "workload.turns_per_s is a guess: write how often your users speak to the LLM today.",
        *notes,
    ]
    notes += write_spec(options.spec, head, spec_of(options.name, places, today, others))
    notes += more
    wrote = f"{options.spec}"
    if deployment is not None:
        head = [
            origin,
            "Every key: study/deploy/config/deployment.py and deployed.py.",
            *notes,
        ]
        write_checked(options.deployment, head, deployment, load_deployment, 0o644)
        wrote += f", {options.deployment}"
    for note in notes:
        tell(f"note: {note}")
    share = "" if llm.share is None else f"{llm.share:g} of the memory for "
    beside = "".join(f", {b.name}: {b.running.label}" for b in today.beside)
    tell(f"today: {share}{llm.model}, speech {stt.size}{beside}; wrote {wrote}")
    lend = " ".join(f"--lend-from {n}" for n in dict.fromkeys(map(_lent, today.running)) if n)
    run = shlex.join([*sudo_command("run_study"), str(options.spec)])
    tell(f"next: {run} {lend} --dry-run")


def _ran(unit: Running) -> bool:
    """Tell whether a server was read as it runs, and not from a file."""
    return bool(unit.pids) and (unit.container is None or unit.container.compose is None)


def _lent(unit: Running) -> str:
    """Return what `--lend-from` calls a server; empty where it cannot be lent by a name."""
    if unit.is_unit:
        return unit.unit
    container = unit.container
    if container is not None and container.manifest is not None:
        return ""
    return f"container:{container.name}" if container and container.name else ""


def _unnamed(device: Device | None, today: UnitServices) -> list[str]:
    """Return a sentence for each known server on the device that nobody named."""
    named = {pid for u in today.running for pid in u.pids}
    lines = []
    for o in device.occupants() if device and device.identity.cuda is not None else []:
        program = program_of(o.command.split())
        if program is not None and o.pid not in named and not o.unit:
            lines.append(
                f"process {o.pid} on the device serves {program.role} ({program.engine}); "
                f"name it too to measure it: --unit pid:{o.pid}"
            )
        elif program is not None and o.pid not in named:
            lines.append(
                f"{o.unit} on the device serves {program.role} ({program.engine}); "
                f"name it too to measure it: --unit {o.unit}"
            )
    return lines


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
        return {pid for u in read_sources(options.units) for pid in u.pids}

    return observe(device, own, options.observe_s, tell)


def _held(device: Device | None, unit: Running) -> float | None:
    """Return what the speech unit holds on the device now, MiB."""
    occupants: list[Occupant] = device.occupants() if device else []
    held = [o.mib for o in occupants if o.pid in unit.pids and o.mib is not None]
    return round(sum(held)) if held else None
