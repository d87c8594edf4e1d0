"""From symptoms to a named failure: a server that died, an answer that was an error, a neighbour that grew."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from objectives.devices.device import Device
from objectives.diagnosis.diagnose import Diagnosis, diagnose, outcome
from objectives.diagnosis.symptoms import names_of
from objectives.errors import (
    Disturbed,
    OutOfMemory,
    ServerDied,
    SetupError,
    StartTimeout,
    TrialFailed,
)
from objectives.load.replies import Reply, Symptom
from objectives.servers.memory_budget import Verdict
from objectives.servers.process import Server

PATIENCE_S = 30.0  # a passing neighbour is waited for
DYING_S = 3.0  # a connection drops before its server has finished dying


@dataclass(slots=True)
class Suspects:
    """The suspects may be to blame for trouble under load.

    Args:
        servers: By service, in the order in which their logs are read.
        tenants: The programs that hold memory beside them.
        measured: What had been measured by then, by flat name.
    """

    servers: Mapping[str, Server]
    tenants: Sequence[Server]
    measured: dict[str, Any] = field(default_factory=dict)

    def broken(self) -> Symptom | None:
        """The symptom when one of them has ended; None while all run."""
        for server in (*self.servers.values(), *self.tenants):
            if not server.alive:
                return Symptom(f"the {server.name} server ended under load")
        return None


def raised(diagnosis: Diagnosis, measured: Mapping[str, object]) -> TrialFailed | SetupError:
    """The exception for a diagnosis, by the outcome of its class."""
    match outcome(diagnosis.failure_class).kind:
        case "infeasible":
            return OutOfMemory(diagnosis, measured)
        case "retry":
            return Disturbed(diagnosis, measured)
        case _:
            return SetupError(
                f"{diagnosis.failure_class} ({diagnosis.victim}): {diagnosis.evidence}"
            )


def prechecked(verdict: Verdict) -> OutOfMemory:
    """The arithmetic said no before anything was launched."""
    return OutOfMemory(
        Diagnosis(verdict.fits, None, "precheck", verdict.deficit_mib, verdict.explanation)
    )


def failed_start(
    error: ServerDied | StartTimeout,
    service: str,
    measured: Mapping[str, object],
    free: tuple[float, float],
) -> TrialFailed | SetupError:
    """A server that did not become ready; `free` is what was free and what should have been, MiB."""
    log = error.log.read_text(errors="replace")
    exit_code = error.server_exit_code if isinstance(error, ServerDied) else None
    found = diagnose(
        log,
        exit_code=exit_code,
        phase="start",
        service=service,
        free_before_mib=free[0],
        expected_free_mib=free[1],
    )
    if found is None:
        found = Diagnosis("startup_timeout", service, "start", None, str(error))
    if found.failure_class == "setup_error":
        return SetupError(
            f"the {service} server does not start: {found.evidence}; its log: {error.log}"
        )
    return raised(found, measured)


def elsewhere(
    service: str, taken_mib: float, measured: Mapping[str, object]
) -> TrialFailed | SetupError:
    """A server that answers although memory did not rise on the GPU that it was to use."""
    evidence = (
        f"the {service} server answers, but only {taken_mib:,.0f} MiB more are held on the device"
    )
    name = names_of(service).elsewhere
    return raised(Diagnosis(name, service, "start", None, evidence), measured)


def failed_load(suspects: Suspects, symptom: Symptom) -> TrialFailed | SetupError:
    """Trouble after readiness: the first server with a reason in its log, or with none but its end."""
    deadline = time.monotonic() + DYING_S
    while suspects.broken() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    measured = suspects.measured
    for tenant in suspects.tenants:
        if not tenant.alive:
            name = f"tenant:{tenant.name.removeprefix('tenant-')}"
            return raised(
                Diagnosis("oom_runtime_llm", name, "load", None, tenant.log_text()[-300:]), measured
            )
    for service, server in suspects.servers.items():
        found = diagnose(
            server.log_text(), exit_code=server.exit_code, phase="load", service=service
        )
        if found is not None:
            return raised(found, measured)
    status = symptom.error.status if symptom.error else None
    names, why = names_of(symptom.service), str(symptom)[:300]
    is_refused = status is not None and 400 <= status < 500
    if is_refused and names.way_out is not None:
        return SetupError(f"the LLM server refuses our requests ({why}); {names.way_out}")
    name = names.crashed if status is not None and status >= 500 else names.broken
    service = symptom.service or [*suspects.servers][-1]
    return raised(Diagnosis(name, service, "load", None, why), measured)


def failed_reply(reply: Reply, suspects: Suspects) -> TrialFailed | SetupError:
    """A request that failed while its service was alone."""
    return failed_load(suspects, reply.symptom or Symptom("no answer"))


def check_neighbours(
    device: Device, expected_mib: float, reserve_mib: float, measured: Mapping[str, object]
) -> None:
    """Refuse to launch into a device whose other tenants have grown beyond the reserve, and stay so for a while.

    raises: Disturbed, class foreign_tenant, naming the largest process
    """
    deadline = time.monotonic() + PATIENCE_S
    while (grown := expected_mib - device.sample().free_mib) > reserve_mib:
        if time.monotonic() > deadline:
            break
        time.sleep(0.5)
    else:
        return
    held = [o for o in device.occupants() if o.mib is not None]
    largest = max(held, key=lambda o: o.mib or 0.0, default=None)
    who = (
        f"; largest process: {largest.pid} {largest.command[:80]} ({largest.mib:,.0f} MiB)"
        if largest
        else ""
    )
    evidence = f"{grown:,.0f} MiB more are held by others than before the study (reserve {reserve_mib:,.0f}){who}"
    raise Disturbed(Diagnosis("foreign_tenant", None, "precheck", grown, evidence), measured)
