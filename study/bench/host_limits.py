"""This module says what a small host, a container or WSL2 does not tell, and what works there."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from objectives.devices.device import Occupant


def host_limits(
    occupants: Sequence[Occupant], *, is_gpu: bool, root: Path = Path("/")
) -> list[str]:
    """Return a sentence for each thing that this host lacks; none where nothing is missing.

    Args:
        occupants: Who holds the device's memory now.
        is_gpu: Whether the device is a GPU.
        root: The root of the file system.
    """
    lines = []
    is_wsl = _is_wsl(root)
    if is_gpu and (is_wsl or any(o.mib is None for o in occupants)):
        where = ", under WSL2," if is_wsl else ""
        lines.append(
            f"this driver{where} does not tell what each process holds: what fits and what runs "
            "out of memory is measured all the same, by free memory; a neighbour is noticed as it "
            "comes, not as it grows"
        )
    if is_gpu and is_wsl:
        lines.append(
            "Windows' own programs take card memory that nothing here shows: close what you can, "
            "and leave them `reserve_mib`"
        )
    if not (root / "run/systemd/system").is_dir():
        lines.append(
            "no systemd runs here: studies, confirmations and reports work; --lend-from, "
            "scripts/schedule_study.py and units of scripts/promote.py need it"
        )
    if not (root / "sys/fs/cgroup/cgroup.controllers").is_file():
        lines.append(
            "no cgroup v2 is seen here: processes are named by their commands, not by their units"
        )
    return lines


def _is_wsl(root: Path) -> bool:
    with suppress(OSError):
        return "microsoft" in (root / "proc/version").read_text(errors="replace").lower()
    return False
