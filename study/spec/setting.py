"""This module makes the setting that is the same for all trials of a spec."""

from __future__ import annotations

import os
from typing import Any

from objectives.setting import Setting, conditions
from objectives.traffic.clips import SHIPPED, digest, read_clips
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
        limits=spec.limits,
        precheck=spec.precheck == "prune",
    )


def conditions_of(spec: Spec) -> dict[str, Any]:
    """Return what of a spec makes its trials comparable, by the names that a person reads."""
    sources = (spec.workload.clips, spec.workload.scored_clips)
    own = [s for s in dict.fromkeys(sources) if s not in SHIPPED and spec.measure == "live"]
    return {
        "clips": [digest(read_clips(source)) for source in own] or None,
        "search space names": sorted(p.name for p in spec.search_space.parameters),
        "limits": dict(spec.limits),
        "baseline": spec.baseline.own_values,
        **conditions(setting_of(spec)),
    }
