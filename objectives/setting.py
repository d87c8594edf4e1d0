"""The setting of a study is the same for all its trials; its first measurement fixes the anchor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from objectives.load.ladder import Slo
from objectives.measurement import INFINITE
from objectives.servers.tenants import Tenant
from objectives.services import Services
from objectives.traffic.workload import Workload

FIRST_RUNG = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting holds everything that is the same for all trials of a study.

    Args:
        services: The servers under test.
        workload: The traffic that they get.
        tenants: The programs that hold memory beside them.
        reserve_mib: The memory that must stay free, MiB.
        slo_multiple: The SLO as a multiple of the first measurement's p95.
        slo: The SLO in ms, in place of that multiple.
        precheck: Whether arithmetic may rule an allocation out without a launch.
    """

    services: Services
    workload: Workload
    tenants: Sequence[Tenant] = ()
    reserve_mib: float = 512.0
    slo_multiple: float = 1.5
    slo: Slo | None = None
    precheck: bool = True


@dataclass(frozen=True, slots=True)
class Anchor:
    """The anchor fixes, for a whole study, the SLO in ms and the rung where ladders start."""

    slo: Slo
    first_rung: int


def anchored(setting: Setting, measured: Mapping[str, Any]) -> Anchor | None:
    """Return the anchor of a first measurement; None where a service has no finite latency."""
    names = ("stt_latency_p95_ms", "llm_latency_p95_ms")
    p95 = [float(measured[name]) for name in names if measured.get(name) is not None]
    if len(p95) < len(names) or INFINITE in p95:
        return None
    slo = setting.slo or Slo(*(x * setting.slo_multiple for x in p95))
    return Anchor(slo, min(FIRST_RUNG, setting.workload.ladder_max_sessions))
