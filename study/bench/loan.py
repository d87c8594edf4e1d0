"""A loan holds devices for this process alone, with the memory of the units that lend them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from objectives import waiting
from objectives.allocation import Allocation
from objectives.devices.device import Device
from study.bench.bench import Bench
from study.bench.device_lock import sole_use_of_all
from study.bench.full_device import devices_of_the_llm, refuse_full_device
from study.service_pause.options import Lending
from study.service_pause.pause import lent

SETTLE_S, STEADY_MIB = 20.0, 64.0


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
                for name in devices_of_the_llm(baseline, machine):
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
