"""Failures are named from symptoms: a dead server, a wrong answer, a neighbour that grew."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from objectives import waiting
from objectives.devices.device import Device
from objectives.diagnosis.diagnose import diagnose, reason_of
from objectives.diagnosis.diagnosis import Diagnosis, consequence_of
from objectives.diagnosis.log import FailurePhase, read_log
from objectives.diagnosis.symptoms import WRONG_ANSWER, names_of
from objectives.diagnosis.victim import Victim, VictimKind
from objectives.errors import (
    Disturbed,
    OutOfMemory,
    ServerDied,
    SetupError,
    StartTimeout,
    TrialFailed,
)
from objectives.figures import service_name
from objectives.load.replies import Fault, Reply, Symptom
from objectives.servers.memory_budget import Prediction
from objectives.servers.process import Server

# as PyTorch counts devices, and a server its workers
NUMBERED = re.compile(r"\b(?:cuda:|GPU |\w*Worker(?:_TP|-))(\d{1,2})\b")
PATIENCE_S = 30.0  # a passing neighbour is waited for
DYING_S = 3.0  # a connection drops before its server has finished dying


@dataclass(slots=True)
class Suspects:
    """The suspects may be to blame for trouble under load.

    Args:
        servers: The servers by service, in the order in which their logs are read.
        apis: By which API's symptoms the failures of each service are named.
        tenants: The programs that hold memory beside them, by name.
        measured: What had been measured by then, by flat name.
        devices: The names of each service's devices, in the order in which it counts them.
    """

    servers: Mapping[str, Server]
    apis: Mapping[str, str]
    tenants: Mapping[str, Server]
    measured: dict[str, Any] = field(default_factory=dict)
    devices: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def broken(self) -> Symptom | None:
        """Return the symptom when one of them has ended; None while all run."""
        for server in (*self.servers.values(), *self.tenants.values()):
            if not server.alive:
                return Symptom(f"the {server.name} server ended under load")
        return None


def raised(diagnosis: Diagnosis, measured: Mapping[str, object]) -> TrialFailed | SetupError:
    """Return the exception for a diagnosis, by the consequence of its class."""
    match consequence_of(diagnosis.failure_class).kind:
        case "infeasible":
            return OutOfMemory(diagnosis, measured)
        case "retry":
            return Disturbed(diagnosis, measured)
        case _:
            return SetupError(
                f"{diagnosis.failure_class} ({diagnosis.victim}): {diagnosis.evidence}"
            )


def prechecked(prediction: Prediction) -> OutOfMemory:
    """Return the exception for an allocation that the arithmetic ruled out before its launch."""
    return OutOfMemory(
        Diagnosis(
            prediction.fits.value,
            None,
            FailurePhase.PRECHECK,
            prediction.deficit_mib,
            prediction.explanation,
        )
    )


def failed_start(
    error: ServerDied | StartTimeout,
    service: str,
    api: str,
    measured: Mapping[str, object],
    free: tuple[float, float],
    devices: Sequence[str] = (),
) -> TrialFailed | SetupError:
    """Return the exception for a server that did not become ready.

    Args:
        error: It died, or was not ready in time.
        service: The service that it serves.
        api: By which API's symptoms its failures are named.
        measured: The figures known by then, by flat name.
        free: The memory that was free before its launch, and that should have been, MiB; of several
            devices that which lacks most.
        devices: The names of its devices, in the order in which it counts them.
    """
    log = read_log(error.log)
    exit_code = error.server_exit_code if isinstance(error, ServerDied) else None
    diagnosis = diagnose(
        log,
        exit_code=exit_code,
        phase=FailurePhase.START,
        service=service,
        api=api,
        free_before_mib=free[0],
        expected_free_mib=free[1],
    )
    if diagnosis is None:
        diagnosis = Diagnosis("startup_timeout", service, FailurePhase.START, None, str(error))
    diagnosis = replace(diagnosis, evidence=on_named_device(diagnosis.evidence, devices))
    if diagnosis.failure_class == "setup_error":
        return SetupError(
            f"the {service} server does not start: {diagnosis.evidence}; "
            f"{f'{diagnosis.way_out}; ' if diagnosis.way_out else ''}its log: {error.log}"
        )
    return raised(diagnosis, measured)


def on_named_device(line: str, devices: Sequence[str]) -> str:
    """Return a line of a log with the name of the device that it counts, where it has several.

    >>> on_named_device("Free memory on device cuda:1 (3.0/23.6 GiB)", ("gpu0", "gpu1"))
    'gpu1: Free memory on device cuda:1 (3.0/23.6 GiB)'
    """
    number = NUMBERED.search(line) if len(devices) > 1 else None
    if number is None or int(number[1]) >= len(devices):
        return line
    return f"{devices[int(number[1])]}: {line}"


def elsewhere(
    service: str, api: str, taken_mib: float, measured: Mapping[str, object], device: str = ""
) -> TrialFailed | SetupError:
    """Return the exception for a server that answers without memory on a GPU it was to use."""
    where = device or "the device"
    evidence = (
        f"the {service} server answers, but only {taken_mib:,.0f} MiB more are held on {where}"
    )
    name = names_of(api).elsewhere
    return raised(Diagnosis(name, service, FailurePhase.START, None, evidence), measured)


def failed_load(suspects: Suspects, symptom: Symptom) -> TrialFailed | SetupError:
    """Return the exception for trouble after readiness.

    To blame is a tenant that ended; else the first server with a reason in its log, or with none
    but its end; else the service whose answer was wrong.
    """
    deadline = time.monotonic() + DYING_S
    while suspects.broken() is None and time.monotonic() < deadline:
        waiting.sleep(0.1)
    measured = suspects.measured
    for tenant, process in suspects.tenants.items():
        if not process.alive:
            victim, end = str(Victim(VictimKind.TENANT, tenant)), process.log_text()[-300:]
            name = names_of(None).out_of_memory
            return raised(Diagnosis(name, victim, FailurePhase.LOAD, None, end), measured)
    for service, server in suspects.servers.items():
        diagnosis = diagnose(
            server.log_text(),
            exit_code=server.exit_code,
            phase=FailurePhase.LOAD,
            service=service,
            api=suspects.apis[service],
        )
        if diagnosis is not None:
            line = on_named_device(diagnosis.evidence, suspects.devices.get(service, ()))
            return raised(replace(diagnosis, evidence=line), measured)
    status = symptom.error.status if symptom.error else None
    names = names_of(suspects.apis.get(symptom.service or ""))
    who = service_name(symptom.service or "")
    why = (symptom.text if symptom.service is None else f"{who}: {symptom.text}")[:300]
    is_refused = status is not None and 400 <= status < 500
    if is_refused and names.way_out is not None:
        return SetupError(f"the {who} server refuses our requests ({why}); {names.way_out}")
    has_crashed = status is not None and status >= 500
    is_wrong = symptom.error is not None and symptom.error.fault in (Fault.MALFORMED, Fault.EMPTY)
    unclear = WRONG_ANSWER if is_wrong else names.broken
    name = names.crashed if has_crashed else unclear
    if has_crashed:
        name = reason_of(symptom.text, suspects.apis.get(symptom.service or "", "")) or name
    service = symptom.service or [*suspects.servers][-1]
    return raised(Diagnosis(name, service, FailurePhase.LOAD, None, why), measured)


def failed_reply(reply: Reply, suspects: Suspects) -> TrialFailed | SetupError:
    """Return the exception for a request that failed while its service was alone."""
    return failed_load(suspects, reply.symptom or Symptom("no answer"))


def check_neighbours(
    device: Device,
    expected_mib: float,
    reserve_mib: float,
    measured: Mapping[str, object],
    name: str = "",
) -> None:
    """Refuse to launch where the device's other tenants have grown beyond the reserve.

    Growth that passes within `PATIENCE_S` is waited for.

    Args:
        device: The device.
        expected_mib: The memory that should be free, MiB.
        reserve_mib: How much less may be free, MiB.
        measured: The figures known by then, by flat name.
        name: Its name, where there are several.

    Raises:
        Disturbed: They have, and stay so; its class is foreign_tenant, and its evidence names the
            largest process.
    """
    deadline = time.monotonic() + PATIENCE_S
    while (grown := expected_mib - device.sample().free_mib) > reserve_mib:
        if time.monotonic() > deadline:
            break
        waiting.sleep(0.5)
    else:
        return
    occupants = [o for o in device.occupants() if o.mib is not None]
    largest = max(occupants, key=lambda o: o.mib or 0.0, default=None)
    who = (
        f"; largest process: {largest.pid} {largest.command[:80]} ({largest.mib:,.0f} MiB)"
        if largest
        else ""
    )
    evidence = (
        f"{f'{name}: ' * bool(name)}{grown:,.0f} MiB more are held by others than before the study "
        f"(reserve {reserve_mib:,.0f}){who}"
    )
    raise Disturbed(
        Diagnosis("foreign_tenant", None, FailurePhase.PRECHECK, grown, evidence), measured
    )
