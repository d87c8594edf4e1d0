"""Look at what others keep busy before a study begins: the cores, and the GPU."""

from __future__ import annotations

from contextlib import suppress

import psutil

from objectives import waiting
from objectives.devices.device import Device

LOOK_S = 1.0
CPU_PCT = 25.0  # of all cores; below, a desktop at rest
GPU_PCT = 10.0
NAMED_PCT = 10.0  # of one core


def busy_others(device: Device) -> list[str]:
    """Say what others keep busy now, in a second; nothing where the machine is quiet.

    It is asked before any server of a study runs, so that all that is busy is of others.
    """
    processes = list(psutil.process_iter())
    for process in processes:
        with suppress(psutil.Error):
            process.cpu_percent()
    psutil.cpu_percent()
    waiting.sleep(LOOK_S)
    cpu_pct = psutil.cpu_percent()
    used = dict[str, float]()
    for process in processes:
        with suppress(psutil.Error):
            name = f"{process.name()} (process {process.pid})"
            used[name] = process.cpu_percent()
    return busy_in_words(cpu_pct, used, device.sample().busy_pct)


def busy_in_words(cpu_pct: float, used_pct: dict[str, float], gpu_pct: float | None) -> list[str]:
    """Say it.

    Args:
        cpu_pct: How busy all cores are, percent of all.
        used_pct: How busy each process keeps them, percent of one core.
        gpu_pct: How busy the GPU is, percent of the time; None where none tells.

    >>> busy_in_words(3.0, {}, 0.0), busy_in_words(3.0, {}, None)
    ([], [])
    """
    lines = []
    if cpu_pct >= CPU_PCT:
        top = sorted((n for n in used_pct if used_pct[n] >= NAMED_PCT), key=lambda n: -used_pct[n])
        who = f", most of it {' and '.join(top[:2])}" if top else ""
        lines.append(
            f"others keep the CPU {cpu_pct:.0f} % busy{who}: latencies will be worse and noisier "
            "than on a quiet machine"
        )
    if gpu_pct is not None and gpu_pct >= GPU_PCT:
        lines.append(
            f"others keep the GPU {gpu_pct:.0f} % busy: what is measured beside them holds only "
            "beside them"
        )
    return lines
