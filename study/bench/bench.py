"""This module gets the instrument ready: device, servers of this machine, and their versions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from objectives import waiting
from objectives.allocation import Allocation
from objectives.devices.device import Device, Identity, Occupant
from objectives.devices.device_set import (
    DeviceSet,
    as_one,
    device_set,
    first_name,
    first_of,
    label,
)
from objectives.devices.open_device import open_device
from objectives.engines.places import Place, place_of
from objectives.engines.registry import sharing
from objectives.errors import SetupError
from objectives.servers import memory_budget
from objectives.servers.versions import Versions, misfits, resolved, unable, versions
from objectives.setting import Setting
from study.bench.device_lock import sole_use_of_all
from study.fit.device_sets import undivided, uneven
from study.service_pause.options import Lending
from study.service_pause.pause import lent
from study.spec.model import Spec

SETTLE_S, STEADY_MIB = 20.0, 64.0
UNNAMED = 0.1  # share of the device that a driver may keep beside processes that are named


@dataclass(frozen=True, slots=True)
class Bench:
    """A bench is everything that stands ready before the first live trial.

    Args:
        devices: The devices to measure on, by name or UUID, the LLM's first.
        setting: What is measured, with models as they lie on this machine.
        versions: The versions of the servers.
        occupants: Who held memory when it was looked at.
        notes: What a person must know of the devices, a sentence each.
    """

    devices: DeviceSet
    setting: Setting
    versions: Versions
    occupants: Sequence[Occupant]
    notes: Sequence[str] = ()

    @property
    def device(self) -> Device:
        """Return the device of the LLM."""
        return first_of(self.devices)

    @property
    def identity(self) -> Identity:
        """Return all devices as one."""
        return as_one(self.devices)

    def occupants_of(self, name: str) -> Sequence[Occupant]:
        """Return who holds memory of a device; of the LLM's first it was looked at already."""
        is_first = name == first_name(self.devices)
        return self.occupants if is_first else self.devices[name].occupants()


def bench(setting: Setting, spec: Spec) -> Bench:
    """Look at this machine: device, neighbours, interpreters, models.

    Args:
        setting: What is measured here, with models as the spec names them.
        spec: The spec, which names the devices, and where each service may run.

    Raises:
        SetupError: The study cannot run here; it says what to do.
    """
    installed = versions(setting.services)
    devices = opened(spec.device, spec.devices)
    refuse_unfit(devices, setting, spec.places, installed)
    here = replace(setting, services=resolved(setting.services))
    if sentences := undivided(here.services, spec.places):
        raise SetupError("; ".join(sentences))
    occupants, notes = first_of(devices).occupants(), tuple(uneven(devices, spec.places))
    return Bench(devices, here, installed, occupants, notes)


def opened(device: str, by_name: Mapping[str, str]) -> DeviceSet:
    """Open the devices of a spec, the LLM's first.

    Args:
        device: Its only one, or that of the LLM.
        by_name: Several of them by name; none where it has one.

    Raises:
        SetupError: One is missing, or two are one.
    """
    devices: DeviceSet = {
        name: open_device(d, is_shared=len(by_name) == 1) for name, d in by_name.items()
    }
    _refuse_twins(devices)
    return devices or device_set(open_device(device))


def refuse_unfit(
    devices: DeviceSet,
    setting: Setting,
    places: Mapping[str, Sequence[Place]],
    installed: Versions,
) -> None:
    """Refuse devices on which the servers cannot run.

    Args:
        devices: The devices.
        setting: What is measured on them.
        places: Where each service may run.
        installed: The versions of what serves.

    Raises:
        SetupError: There are some.
    """
    if sentences := misfits(first_of(devices), setting.services, installed):
        raise SetupError("; ".join(sentences))
    if sentences := unable(devices, setting.services, places):
        raise SetupError("; ".join(sentences))


def _refuse_twins(devices: DeviceSet) -> None:
    """Refuse two names of one device, as an index and a UUID may be.

    Raises:
        SetupError: There are two.
    """
    names = dict[str, str]()
    for name, device in devices.items():
        if (twin := names.setdefault(device.identity.uuid, name)) != name:
            raise SetupError(f"{twin} and {name} under `devices:` are one device; remove one")


def refuse_full_device(baseline: Allocation, machine: Bench) -> None:
    """Refuse to start where the baseline does not fit beside what is on a device now.

    It is asked of each device of the LLM. What would not fit on the empty device either is left to
    its launch, which says so: what is wrong then is the allocation, and not the others.

    Raises:
        SetupError: It does not; the error has the processes that hold memory and the line that
            would free it.
    """
    for name in _of_the_llm(baseline, machine):
        _refuse_full(baseline, machine, name)


def _of_the_llm(allocation: Allocation, machine: Bench) -> tuple[str, ...]:
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


@contextmanager
def borrowed(
    baseline: Allocation, machine: Bench, lending: Lending, tell: Callable[[str], None]
) -> Iterator[Bench]:
    """Hold the device for this process alone, with the memory of the units that lend it.

    It yields the bench as it is then.

    Raises:
        SetupError: Another study has the device, a unit does not stop, or the baseline does not
            fit.
    """
    with all_borrowed(baseline, [machine], lending, tell) as (lent_machine,):
        yield lent_machine


@contextmanager
def all_borrowed(
    baseline: Allocation,
    machines: Sequence[Bench],
    lending: Lending,
    tell: Callable[[str], None],
) -> Iterator[list[Bench]]:
    """Hold the devices of several benches as `borrowed` holds one.

    Raises:
        SetupError: As `borrowed`.
    """
    with ExitStack() as stack:
        uuids = (d.identity.uuid for m in machines for d in m.devices.values())
        stack.enter_context(sole_use_of_all(uuids))
        stack.enter_context(lent(lending.units, tell, max_outage_s=lending.max_outage_s))
        if lending.units:
            for machine in machines:
                for name in _of_the_llm(baseline, machine):
                    _settle(machine.devices[name])
            machines = [replace(m, occupants=m.device.occupants()) for m in machines]
        for machine in machines:
            refuse_full_device(baseline, machine)
        yield list(machines)


def _settle(device: Device) -> None:
    """Wait until memory comes back no more.

    A driver frees what a process held a little after its end.
    """
    deadline = time.monotonic() + SETTLE_S
    before = device.sample().free_mib
    while time.monotonic() < deadline:
        waiting.sleep(1.0)
        now = device.sample().free_mib
        if now - before < STEADY_MIB:
            return
        before = now


def mib(occupant: Occupant) -> str:
    """Return the memory of a process for a table; NVML does not always know it."""
    return "     ? MiB" if occupant.mib is None else f"{occupant.mib:>6,.0f} MiB"
