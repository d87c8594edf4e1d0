"""Makes the setting that is the same for all trials of a spec."""

from __future__ import annotations

import os
from typing import Any

from objectives.figures import flat_name
from objectives.load.ladder import Slo
from objectives.setting import Setting, conditions
from study.spec.choices import APIS
from study.spec.model import Spec


def setting_of(spec: Spec) -> Setting:
    """Return what is the same for all trials of a spec."""
    has_display = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    usual_mib = 1024.0 if has_display else 512.0
    return Setting(
        services=spec.services,
        workload=spec.workload,
        tenants=spec.tenants,
        reserve_mib=usual_mib if spec.reserve_mib is None else spec.reserve_mib,
        slo_multiple=spec.slo.multiple,
        slo=Slo(spec.slo.p95_ms) if len(spec.slo.p95_ms) == len(APIS) else None,
        precheck=spec.precheck == "prune",
    )


def conditions_of(spec: Spec) -> dict[str, Any]:
    """Return what of a spec makes its trials comparable, by the names that a person reads."""
    limits_ms = {flat_name(s, "p95_ms"): spec.slo.p95_ms.get(s) for s in APIS}
    return {
        "search space names": sorted(p.name for p in spec.search_space.parameters),
        "slo": {"multiple": spec.slo.multiple, **limits_ms},
        "baseline": dict(spec.baseline.values),
        **conditions(setting_of(spec)),
    }
