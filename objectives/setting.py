"""The setting of a study is the same for all its trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from objectives.capacity.limits import DEFAULT_LIMITS
from objectives.engines.engine import Engine
from objectives.engines.places import PLACE
from objectives.engines.registry import in_order
from objectives.load.open_loop import GENERATOR_VERSION
from objectives.plain_data.infinity import plain
from objectives.plain_data.masked import masked_service
from objectives.servers.tenants import Tenant
from objectives.services import Services
from objectives.traffic.workload import Workload, as_compared

OF_RAMPS = ("ramp_doubling_s", "pause_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting holds everything that is the same for all trials of a study.

    Args:
        services: The servers under test.
        workload: The traffic that they get.
        tenants: The programs that hold memory beside them.
        reserve_mib: The memory that must stay free, MiB.
        limits: What a good turn meets, ms by name, e.g. `llm_ttft_p95_ms`.
        precheck: Whether arithmetic may rule an allocation out without a launch.
    """

    services: Services
    workload: Workload
    tenants: Sequence[Tenant] = ()
    reserve_mib: float = 512.0
    limits: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_LIMITS))
    precheck: bool = True


def conditions(setting: Setting) -> dict[str, Any]:
    """Return what must be equal for two measurements to be comparable, as plain data."""
    compared = as_compared(setting.workload)
    workload = {k: v for k, v in asdict(compared).items() if v is not None and v != ()}
    del workload["hold_s"]  # only a confirmation holds a rate
    for stream in workload.get("beside", ()):  # what was measured before LLMs beside has no length
        if not stream["output_tokens"]:
            del stream["output_tokens"]
    if not setting.workload.ramp_s:
        workload = {k: v for k, v in workload.items() if k not in OF_RAMPS}
    if not setting.workload.turns_per_s:  # what was measured before turns does not say it
        del workload["turns_per_s"]
    data = {
        "workload": workload,
        "services": {e.name: masked_service(_placed(e)) for e in in_order(setting.services)},
        "tenants": [_tenant_data(t) for t in setting.tenants],
        "load generator": GENERATOR_VERSION,
    }
    return dict(plain(data))


def _placed(engine: Engine) -> dict[str, Any]:
    """Return what of a service changes figures, with its place where the study has several."""
    place = engine.service.place
    return engine.conditions() if place is None else {**engine.conditions(), PLACE: place}


def _tenant_data(tenant: Tenant) -> dict[str, Any]:
    """Return a tenant as plain data; without its device where there is one."""
    data = asdict(tenant)
    return data if tenant.device is not None else {k: v for k, v in data.items() if k != "device"}
