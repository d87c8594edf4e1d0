"""Say what makes the trials of two studies comparable, and name what differs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from objectives.devices.device import TOTAL_TOLERANCE, Identity
from objectives.servers.versions import Versions

# The key of an identity: ONE_TRIAL, or None where servers are kept while trials need them.
LIFETIME = "lifetime of the servers"
ONE_TRIAL = "one trial"


def identity_of(
    asked: Mapping[str, Any],
    device: Identity,
    versions: Versions,
    *,
    is_live: bool,
    restarts: bool = False,
) -> dict[str, Any]:
    """Return what makes two trials comparable, by the names that a person reads where it differs.

    Args:
        asked: What of the spec must be equal (`conditions_of`).
        device: The card of the study.
        versions: The versions of the servers.
        is_live: It is measured here, and not replayed.
        restarts: Servers are launched anew for every trial; then the time that a study takes is
            not another's.
    """
    return {
        **asked,
        "device product": device.product,
        "device total MiB": round(device.total_mib),
        "server versions": {service: dict(packages) for service, packages in versions.items()},
        "measure": "live" if is_live else "recorded",
        LIFETIME: ONE_TRIAL if restarts else None,
    }


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return the names under which two identities differ.

    The total memory may breathe by 2 %, and a size of the speech model may come or go.
    """
    names = []
    for name in now:
        default = 1 if name == "load generator" else None  # of older studies, which do not say it
        a, b = then.get(name, default), now[name]
        if name == "device total MiB" and a and abs(a / b - 1) <= TOTAL_TOLERANCE:
            continue
        if name == "services" and a:
            sizes = a["stt"]["models"].keys() & b["stt"]["models"].keys()
            a, b = _of_sizes(a, sizes), _of_sizes(b, sizes)
        if a != b:
            names.append(name)
    return names


def _of_sizes(services: Mapping[str, Any], sizes: Collection[str]) -> dict[str, Any]:
    """Return the services with no other speech models than these."""
    stt = services["stt"]
    return {
        **services,
        "stt": {**stt, "models": {k: v for k, v in stt["models"].items() if k in sizes}},
    }
