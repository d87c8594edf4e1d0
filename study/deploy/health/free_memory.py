"""A start waits here until the device has back what stopped servers held."""

from __future__ import annotations

import time

from objectives import waiting
from objectives.devices.device import Device
from study.deploy.errors import StepFailed

STEADY_MIB = 64.0
MEMORY_LOOK_S = 0.5


def wait_for_memory(device: Device, needed_mib: float | None, timeout_s: float) -> float:
    """Wait until free memory has stopped rising and suffices, and return how much is free, MiB.

    A connection drops before its server has finished dying, and a start meanwhile has less memory
    than it should.

    Args:
        needed_mib: What the next servers need, MiB; None: unknown.

    Raises:
        StepFailed: It does not come back in time; the message names who holds it.
    """
    until, before = time.monotonic() + timeout_s, device.sample().free_mib
    while True:
        waiting.sleep(MEMORY_LOOK_S)
        free = device.sample().free_mib
        if free - before < STEADY_MIB and (needed_mib is None or free >= needed_mib):
            return free
        if time.monotonic() > until:
            holders = sorted(device.occupants(), key=lambda o: -(o.mib or 0.0))[:3]
            names = (
                ", ".join(f"{o.unit or o.command[:60]} (pid {o.pid})" for o in holders)
                or "nobody that can be seen"
            )
            raise StepFailed(
                f"memory did not come back within {timeout_s:g} s: {free:,.0f} MiB are free"
                + (f" of {needed_mib:,.0f} needed" if needed_mib else "")
                + f"; held by {names}"
            )
        before = free
