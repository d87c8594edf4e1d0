"""NVML under WSL2 lists processes without their memory, or none at all; both are no failure."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from objectives.devices import nvidia_gpu
from objectives.devices.nvidia_gpu import NvidiaGpu
from objectives.servers import foreign_tenants


def gpu(monkeypatch: pytest.MonkeyPatch, compute: Any, graphics: Any) -> NvidiaGpu:
    """Return a card of a driver that answers like this; an exception is raised."""

    class Unsupported(Exception):
        pass

    def answering(answer: Any) -> Any:
        def call(_: object) -> Any:
            if answer is None:
                raise Unsupported
            return answer

        return call

    nvml = SimpleNamespace(
        NVMLError=Unsupported,
        NVMLError_NotSupported=Unsupported,
        nvmlMemory_v2=2,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetUUID=lambda _: "GPU-1",
        nvmlDeviceGetIndex=lambda _: 0,
        nvmlDeviceGetName=lambda _: "NVIDIA GeForce RTX 3060",
        nvmlSystemGetDriverVersion=lambda: "555.99",
        nvmlSystemGetCudaDriverVersion_v2=lambda: 12050,
        nvmlDeviceGetCudaComputeCapability=lambda _: (8, 6),
        nvmlDeviceGetMemoryInfo=lambda _, version=1: SimpleNamespace(
            total=12 * 2**30, reserved=2**28, free=9 * 2**30
        ),
        nvmlDeviceGetComputeRunningProcesses=answering(compute),
        nvmlDeviceGetGraphicsRunningProcesses=answering(graphics),
        nvmlDeviceGetUtilizationRates=answering(None),
        nvmlDeviceGetPowerUsage=answering(None),
    )
    monkeypatch.setattr(nvidia_gpu, "pynvml", nvml)
    return NvidiaGpu("cuda")


def test_a_process_whose_memory_is_not_told_holds_none_that_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process = SimpleNamespace(pid=os.getpid(), usedGpuMemory=None)
    (occupant,) = gpu(monkeypatch, [process], None).occupants()
    assert (occupant.pid, occupant.mib) == (os.getpid(), None)


def test_a_driver_that_lists_no_processes_leaves_free_memory_to_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = gpu(monkeypatch, None, None)
    assert card.occupants() == []
    sample = card.sample()
    assert (sample.free_mib, sample.busy_pct) == (9 * 1024, None)
    assert card.identity.total_mib == 12 * 1024 - 256


def test_a_neighbour_is_known_by_the_file_of_its_gpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "/dev/dxg" in foreign_tenants.GPU_FILES  # what WSL2 has for /dev/nvidia0
    device = tmp_path / "dxg"
    device.touch()
    monkeypatch.setattr(foreign_tenants, "GPU_FILES", (str(device),))
    assert not foreign_tenants._uses_gpu(os.getpid())
    with device.open():
        assert foreign_tenants._uses_gpu(os.getpid())
