"""A study is refused where its baseline does not fit beside what is on a device now."""

from __future__ import annotations

from collections.abc import Sequence

from objectives.allocation import Allocation
from objectives.devices.device import Occupant
from objectives.devices.device_set import first_name, label
from objectives.engines.places import place_of
from objectives.engines.registry import sharing
from objectives.errors import SetupError
from objectives.servers import memory_budget
from study.bench.bench import Bench

UNNAMED = 0.1  # share of the device that a driver may keep beside processes that are named


def refuse_full_device(baseline: Allocation, machine: Bench) -> None:
    """Refuse to start where the baseline does not fit beside what is on a device now.

    It is asked of each device of the LLM. What would not fit on the empty device either is left to
    its launch, which says so: what is wrong then is the allocation, and not the others.

    Raises:
        SetupError: It does not; the error has the processes that hold memory and the line that
            would free it.
    """
    for name in devices_of_the_llm(baseline, machine):
        _refuse_full(baseline, machine, name)


def devices_of_the_llm(allocation: Allocation, machine: Bench) -> tuple[str, ...]:
    """Return the names of the devices of the LLM that has a share."""
    engine = sharing(machine.setting.services)
    place = engine and place_of(engine.name, engine.service, allocation)
    return place.devices if place else (first_name(machine.devices),)


def _refuse_full(baseline: Allocation, machine: Bench, name: str) -> None:
    device, occupants = machine.devices[name], machine.occupants_of(name)
    total = device.identity.total_mib
    free = device.sample().free_mib
    own = [t for t in machine.setting.tenants if (t.device or first_name(machine.devices)) == name]
    ballast = sum(t.held_mib(total) for t in own)
    need = memory_budget.share_mib(baseline, total)
    missing = need + ballast - free
    held_mib = sum(o.mib or 0.0 for o in occupants)
    if missing <= 0 or (held_mib < missing and free + held_mib >= total - UNNAMED * total):
        return
    held = sorted(occupants, key=lambda o: -(o.mib or 0.0))[:5]
    lines = [
        f"  {o.pid:>8}  {mib(o)}  {o.command[:70]}" + (f"  ({o.unit})" if o.unit else "")
        for o in held
    ]
    called = label(name, machine.devices) if len(machine.devices) > 1 else ""
    where = f" on {called}" if called else ""
    raise SetupError(
        f"the baseline ({baseline}) cannot fit{where}: {free:,.0f} of {total:,.0f} MiB are free "
        f"and {need + ballast:,.0f} are needed, {missing:,.0f} too few{_way_out(held, missing)}\n"
        + "\n".join(lines)
    )


def _way_out(held: Sequence[Occupant], missing_mib: float) -> str:
    """Say what to end so that enough is free; nothing where what they hold is not known."""
    freed_mib, steps = 0.0, list[str]()
    for o in (o for o in held if o.mib):
        freed_mib += o.mib or 0.0
        what = f"`systemctl stop {o.unit}`" if o.unit else f"ending process {o.pid}"
        steps.append(f"{what}{'' if o.unit else ', if it is yours'}")
        if freed_mib >= missing_mib:
            return f"; {' and '.join(steps)} would free {freed_mib:,.0f}"
    return ""


def mib(occupant: Occupant) -> str:
    """Return the memory of a process for a table; NVML does not always know it."""
    return "     ? MiB" if occupant.mib is None else f"{occupant.mib:>6,.0f} MiB"
