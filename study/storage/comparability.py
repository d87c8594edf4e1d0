"""This module says what makes the trials of two studies comparable, and names what differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from objectives.devices.device import TOTAL_TOLERANCE, Identity
from objectives.plain_data.masked import masked_service
from objectives.plain_data.names_of_0_1 import current_conditions
from objectives.servers.versions import Versions

# The key of an identity: ONE_TRIAL, or None where servers are kept while trials need them.
LIFETIME = "lifetime of the servers"
ONE_TRIAL = "one trial"
OTHERS = "other devices"
CHANGED_TRACE = "workload.trace (its file has changed)"


def identity_of(
    spec_conditions: Mapping[str, Any],
    device: Identity,
    versions: Versions,
    *,
    is_live: bool,
    restarts: bool = False,
    others: Mapping[str, Identity] | None = None,
) -> dict[str, Any]:
    """Return what makes two trials comparable, by the names that a person reads where it differs.

    Args:
        spec_conditions: What of the spec must be equal (`conditions_of`).
        device: The card of the study.
        versions: The versions of the servers.
        is_live: It is measured here, and not replayed.
        restarts: Servers are launched anew for every trial; then the time that a study takes is
            not another's.
        others: The other cards of the study, by name.
    """
    cards = {name: [d.product, round(d.total_mib)] for name, d in (others or {}).items()}
    return {
        **spec_conditions,
        "device product": device.product,
        "device total MiB": round(device.total_mib),
        "server versions": {service: dict(packages) for service, packages in versions.items()},
        "measure": "live" if is_live else "recorded",
        LIFETIME: ONE_TRIAL if restarts else None,
        **({OTHERS: cards} if cards else {}),
    }


def differing_names(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the names under which two identities differ.

    The total memory may breathe by 2 %, and a size of a service's model may come or go. What 0.1
    measured is compared without its ladder, and without limits, which it did not know.
    """
    names, then = [], current_conditions(then)
    for name in now:
        default = 1 if name == "load generator" else None  # of older studies, which do not say it
        a, b = then.get(name, default), now[name]
        if name == "device total MiB" and a and abs(a / b - 1) <= TOTAL_TOLERANCE:
            continue
        if name == "limits" and name in then and a is None:
            continue
        if name == "services" and a:  # earlier versions kept secrets in clear
            a, b = ({n: masked_service(s) for n, s in x.items()} for x in (a, b))
            a, b = _with_models_of(a, b), _with_models_of(b, a)
        if a != b:
            names.append(CHANGED_TRACE if name == "workload" and _is_trace_changed(a, b) else name)
    return names


def _is_trace_changed(then: Any, now: Any) -> bool:
    """Return whether two workloads ask for the same of a trace, whose file is another now."""
    traces = [w["trace"] for w in (then, now) if isinstance(w, Mapping) and w.get("trace")]
    if len(traces) < 2:
        return False
    a, b = traces
    return bool(a["options"] == b["options"] and a["sha256"] != b["sha256"])


def _with_models_of(
    services: Mapping[str, Mapping[str, Any]], others: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the services without the models of a service that the others do not have."""
    shared = {name: others.get(name, {}).get("models", {}) for name in services}
    return {
        name: {
            key: {size: v for size, v in value.items() if size in shared[name]}
            if key == "models"
            else value
            for key, value in service.items()
        }
        for name, service in services.items()
    }
