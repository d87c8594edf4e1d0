"""A measurement that failed is made again, as often as the class of its failure allows."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TypeVar

from objectives import waiting
from objectives.devices.busy_others import look
from objectives.devices.device_set import DeviceSet
from objectives.diagnosis.diagnosis import consequence_of
from objectives.diagnosis.log import FailurePhase
from objectives.errors import Disturbed, OutOfMemory, SetupError, TrialFailed
from objectives.evaluation import OnPhase, Phase, Step
from objectives.servers.foreign_tenants import yielding

T = TypeVar("T")
PATIENCE_S = 30.0  # with others that compute, as with a neighbour's memory
# set, it waits for nobody: tests keep each other's cores busy
IMPATIENT_VARIABLE = "ALLOCATION_STUDY_WAITS_FOR_NOBODY"


def retried(measure: Callable[[], T], *, stop_all: Callable[[], None], on_phase: OnPhase) -> T:
    """Return what one launch measures, after as many launches as it takes.

    Args:
        measure: One launch and its measurement.
        stop_all: Stops every server after a failure.
        on_phase: Called with each phase that this adds.

    Raises:
        OutOfMemory: The allocation does not work.
        Disturbed: The last retry failed too.
        SetupError: The machine cannot run it.
    """
    attempt = 0
    while True:
        try:
            return measure()
        except TrialFailed as failed:
            diagnosis = failed.diagnosis
            if diagnosis.phase is not FailurePhase.PRECHECK:
                on_phase(Phase(Step.STOPPING))
                stop_all()
            if isinstance(failed, OutOfMemory):
                raise
            consequence = consequence_of(diagnosis.failure_class)
            if attempt >= consequence.retries:
                if consequence.then == "infeasible":
                    raise OutOfMemory(diagnosis, failed.measured) from failed
                raise
            attempt += 1
            on_phase(Phase(Step.RETRYING, diagnosis=diagnosis))


def undisturbed(measure: Callable[[], T], devices: DeviceSet, reserve_mib: float) -> T:
    """Return one measurement, given up as soon as another process needs a device's memory.

    Raises:
        TrialFailed or SetupError: The launch failed; it is Disturbed where a process came or grew.
    """
    with ExitStack() as stack:
        neighbours = [stack.enter_context(yielding(d, reserve_mib)) for d in devices.values()]
        try:
            return measure()
        except (TrialFailed, SetupError) as failed:
            intrusion = next((n.intrusion for n in neighbours if n.intrusion is not None), None)
            if intrusion is None:
                raise
            measured = failed.measured if isinstance(failed, TrialFailed) else {}
            raise Disturbed(intrusion.diagnosis(reserve_mib), measured) from failed


def wait_until_quiet(devices: DeviceSet, on_phase: OnPhase) -> None:
    """Wait until others keep neither cores nor GPU busy, `PATIENCE_S` at most; then go on.

    It is asked while no server of ours works. What stays busy is told: what is measured beside it
    holds only beside it.
    """
    if os.environ.get(IMPATIENT_VARIABLE):
        return
    if (busy := look(devices)).keeps_gpu:  # a driver still tells what our own servers just did
        busy = look(devices)
    if busy.is_quiet:
        return
    on_phase(Phase(Step.WAITING, busy=busy))
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        waiting.check()
        if (busy := look(devices)).is_quiet:
            return
    on_phase(Phase(Step.BESIDE_OTHERS, busy=busy))
