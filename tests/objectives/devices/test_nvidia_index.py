"""A GPU is opened by an index only where a machine may have as many."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from objectives.devices import nvidia_gpu
from objectives.errors import SetupError


@pytest.mark.parametrize(
    "name", ["4294967296", "1000", "\N{SUPERSCRIPT TWO}", "9" * 5000, "-1", ""]
)
def test_what_is_no_index_is_no_gpu(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    class NoSuchUuid(Exception):
        pass

    def unknown(_: str) -> object:
        raise NoSuchUuid

    nvml = SimpleNamespace(
        NVMLError=NoSuchUuid, nvmlInit=lambda: None, nvmlDeviceGetHandleByUUID=unknown
    )
    monkeypatch.setattr(nvidia_gpu, "pynvml", nvml)
    with pytest.raises(SetupError, match="no NVIDIA GPU"):
        nvidia_gpu.NvidiaGpu(name)
