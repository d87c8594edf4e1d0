"""Tenants of the device really hold memory while a study runs, and release it at its end."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from objectives.devices import ballast
from objectives.devices.device import Device
from objectives.diagnosis.log import read_log
from objectives.engines.command import Command
from objectives.errors import ServerDied, SetupError, StartTimeout
from objectives.plain_data.masked import masked
from objectives.plain_data.ranges import Range
from objectives.plain_data.spellable import spellable
from objectives.servers.process import TENANT, Server, serving

BALLAST = Path(ballast.__file__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A tenant is another user of the device.

    Args:
        name: Its name, for people and its log.
        mib: The memory that it holds, MiB.
        share: The same as a share of the device's total, 0-1, where `mib` is None.
        device: The name of its device; None for the LLM's.
    """

    name: str
    mib: Annotated[float | None, Range(1, 1e7)] = None
    share: Annotated[float | None, Range(0.001, 0.999)] = None
    device: str | None = None

    def held_mib(self, total_mib: float) -> int:
        """Return how much it holds on a device of this size, MiB.

        >>> Tenant(name="ballast", share=0.25).held_mib(8000)
        2000
        """
        return round(self.mib if self.mib is not None else (self.share or 0.0) * total_mib)


@contextmanager
def holding(tenants: Sequence[Tenant], device: Device, folder: Path) -> Iterator[dict[str, Server]]:
    """Start every tenant, by its name, and keep it for as long as the block lasts.

    Raises:
        SetupError: The device has no room for one.
    """
    kind = "cuda" if device.identity.cuda else "cpu"
    with ExitStack() as stack:
        servers = dict[str, Server]()
        for tenant in tenants:
            mib = tenant.held_mib(device.identity.total_mib)
            free = device.sample().free_mib
            if mib > free - 256:
                raise SetupError(
                    f"tenant {tenant.name!r} wants {mib:,} MiB and {free:,.0f} MiB are free; "
                    "free the device or ask for less under `tenants:`"
                )
            log = folder / f"{TENANT}{tenant.name}.log"
            held = log.with_suffix(".held")
            held.unlink(missing_ok=True)
            options = ("--mib", str(mib), "--device", kind, "--held", str(held))
            argv = (sys.executable, str(BALLAST), *options)
            command = Command(argv, device.server_env, 120.0)
            try:
                running = serving(
                    f"{TENANT}{tenant.name}", command, log=log, ready=partial(_is_there, held)
                )
                servers[tenant.name] = stack.enter_context(running)
            except (ServerDied, StartTimeout) as error:
                why = masked(spellable(read_log(log).strip()[-200:]))
                raise SetupError(
                    f"tenant {tenant.name!r} could not hold {mib:,} MiB: {why}"
                ) from error
        yield servers


def _is_there(held: Path, url: str, within_s: float) -> bool:  # noqa: ARG001  it has no port
    return held.exists()
