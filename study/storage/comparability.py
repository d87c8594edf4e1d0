"""What makes the trials of two studies comparable, and the names of what differs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from objectives.devices.device import TOTAL_TOLERANCE, Identity
from objectives.servers.versions import Versions
from objectives.setting import conditions
from study.spec.model import Spec
from study.spec.setting import setting_of

LIFETIME = "lifetime of the servers"  # in an identity: ONE_TRIAL, or None where they are kept while trials need them
ONE_TRIAL = "one trial"


def identity_of(
    spec: Spec, device: Identity, found: Versions, *, restarts: bool = False
) -> dict[str, Any]:
    """What makes two trials comparable; names are those a person reads when it differs.

    restarts: servers are launched anew for every trial; then the time that a study takes is not another's
    """
    return {
        "search space names": sorted(p.name for p in spec.search_space.parameters),
        "slo": {
            "multiple": spec.slo.multiple,
            "stt_p95_ms": spec.slo.stt_p95_ms,
            "llm_p95_ms": spec.slo.llm_p95_ms,
        },
        "baseline": dict(spec.baseline.values),
        **conditions(setting_of(spec)),
        "device product": device.product,
        "device total MiB": round(device.total_mib),
        "server versions": {"llm": dict(found.llm), "stt": dict(found.stt)},
        "measure": "live" if spec.measure == "live" else "recorded",
        LIFETIME: ONE_TRIAL if restarts else None,
    }


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The names under which two identities differ; the total may breathe by 2 %, a size may come or go."""
    found = []
    for name in now:
        a, b = (
            then.get(name, 1 if name == "load generator" else None),
            now[name],
        )  # older ones did not say it
        if name == "device total MiB" and a and abs(a / b - 1) <= TOTAL_TOLERANCE:
            continue
        if name == "services" and a:
            sizes = a["stt"]["models"].keys() & b["stt"]["models"].keys()
            a, b = _of_sizes(a, sizes), _of_sizes(b, sizes)
        if a != b:
            found.append(name)
    return found


def _of_sizes(services: Mapping[str, Any], sizes: Collection[str]) -> dict[str, Any]:
    """The services with no other speech models than these."""
    stt = services["stt"]
    return {
        **services,
        "stt": {**stt, "models": {k: v for k, v in stt["models"].items() if k in sizes}},
    }
