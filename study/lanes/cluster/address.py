"""The address of a Ray cluster is checked here before Ray, which would ask in vain for minutes."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

import psutil

from objectives.errors import BadInput, SetupError

AUTO, FROM_ENV = "auto", "RAY_ADDRESS"
REACHED_S = 10.0
OF_RAYLET = "--gcs-address="


def refuse_odd(address: str) -> None:
    """Refuse what is no address of a cluster.

    Raises:
        BadInput: It is none.
    """
    if address.startswith("ray://"):
        raise BadInput(
            "--cluster: Ray Client drops a driver that is not heard of for 30 s; run the command "
            "on a machine of the cluster, with --cluster auto"
        )
    host, _, port = address.rpartition(":")
    if address != AUTO and not (host and port.isdigit()):
        raise BadInput(f"--cluster: {address!r} is no address; write auto, or such as head:6379")


def answering(address: str) -> str:
    """Return host and port of the cluster's head, where somebody listens.

    Args:
        address: The same, or `auto` for the cluster that this machine is in: what the environment
            names, else that of the raylet that runs here. The file in which Ray notes its last
            cluster outlives that, and is not asked.

    Raises:
        BadInput: The environment names what is no address.
        SetupError: There is no such cluster, or more than one.
    """
    if address != AUTO:
        _refuse_silent(address)
        return address
    if (named := os.environ.get(FROM_ENV, AUTO)) not in ("", AUTO):
        refuse_odd(named)
        _refuse_silent(named)
        return named
    heads = _of_raylets()
    if not heads:
        raise SetupError(
            "this machine is in no Ray cluster: no raylet runs here; `ray start --head` begins "
            "one, `ray start --address=HEAD:6379` joins one"
        )
    if len(heads) > 1:
        raise SetupError(
            f"this machine is in {len(heads)} Ray clusters; name the one: --cluster "
            + " or ".join(heads)
        )
    _refuse_silent(heads[0])
    return heads[0]


def _of_raylets() -> list[str]:
    """Return the addresses of the heads of all raylets on this machine, each once."""
    heads: dict[str, None] = {}
    for process in psutil.process_iter(["name"]):
        if process.info["name"] == "raylet":
            with suppress(psutil.Error):
                words = process.cmdline()
                own = (word for word in words if word.startswith(OF_RAYLET))
                heads |= {word.removeprefix(OF_RAYLET): None for word in own}
    return list(heads)


def _refuse_silent(address: str) -> None:
    """Refuse an address where nobody listens.

    Raises:
        SetupError: There is nobody.
    """
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), REACHED_S).close()
    except (OSError, OverflowError) as error:
        raise SetupError(
            f"no Ray cluster at {address} ({error}); `ray start --head` says its address"
        ) from error
