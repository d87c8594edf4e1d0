"""This module opens the device of a name: an NVIDIA GPU, or the host's own memory."""

from __future__ import annotations

from objectives.devices.device import Device
from objectives.devices.host_memory import HostMemory
from objectives.devices.nvidia_gpu import NvidiaGpu


def open_device(name: str, *, is_shared: bool = True) -> Device:
    """Open the device `cpu`, `cuda` (the first), an index, a UUID or a MIG UUID.

    Raises:
        SetupError: NVML or that device is missing.
    """
    return HostMemory(is_shared=is_shared) if name == "cpu" else NvidiaGpu(name)
