"""The setting of a study is the same for all its trials; its first measurement freezes the SLO."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from objectives.engines.engine import in_order
from objectives.figures import flat_name
from objectives.load.ladder import Slo
from objectives.load.open_loop import GENERATOR_VERSION
from objectives.measurement import INFINITE
from objectives.plain_data.infinity import plain
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
    """An anchor is the SLO and the first rung that a study's first measurement fixes for all.

    Args:
        slo: The limits of the ladder, ms.
        first_rung: The number of sessions that ladders start at.
    """

    slo: Slo
    first_rung: int

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"slo": self.slo.to_json(), "first_rung": self.first_rung}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the inverse of `to_json`."""
        return cls(Slo.from_json(data["slo"]), data["first_rung"])


def anchored(
    setting: Setting, measured: Mapping[str, Any], services: Sequence[str]
) -> Anchor | None:
    """Return the frozen SLO of a first measurement; None where a service has no finite latency.

    Args:
        setting: The rule for the SLO.
        measured: The figures by flat name.
        services: The services that the SLO limits.
    """
    p95_ms = {s: measured.get(flat_name(s, "latency_p95_ms")) for s in services}
    finite = {s: ms for s, ms in p95_ms.items() if ms is not None and ms != INFINITE}
    if len(finite) < len(services):
        return None
    slo = setting.slo or Slo({s: ms * setting.slo_multiple for s, ms in finite.items()})
    return Anchor(slo, min(FIRST_RUNG, setting.workload.ladder_max_sessions))


def conditions(setting: Setting) -> dict[str, Any]:
    """Return what must be equal for two measurements to be comparable, as plain data."""
    data = {
        "workload": {k: v for k, v in asdict(setting.workload).items() if v is not None},
        "services": {e.name: e.conditions() for e in in_order(setting.services)},
        "tenants": [asdict(t) for t in setting.tenants],
        "load generator": GENERATOR_VERSION,
    }
    return dict(plain(data))
