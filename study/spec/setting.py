"""Makes the setting that is the same for all trials of a spec."""

from __future__ import annotations

import os

from objectives.load.ladder import Slo
from objectives.setting import Setting
from study.spec.model import Spec


def setting_of(spec: Spec) -> Setting:
    """Return what is the same for all trials of a spec."""
    limits_ms = {"stt": spec.slo.stt_p95_ms, "llm": spec.slo.llm_p95_ms}
    absolute_ms = {service: ms for service, ms in limits_ms.items() if ms is not None}
    has_display = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    usual_mib = 1024.0 if has_display else 512.0
    return Setting(
        services=spec.services,
        workload=spec.workload,
        tenants=spec.tenants,
        reserve_mib=usual_mib if spec.reserve_mib is None else spec.reserve_mib,
        slo_multiple=spec.slo.multiple,
        slo=Slo(absolute_ms) if len(absolute_ms) == len(limits_ms) else None,
        precheck=spec.precheck == "prune",
    )
