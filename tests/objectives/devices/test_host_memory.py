"""The host's own memory is a device, and beside a GPU a place."""

from __future__ import annotations

import subprocess

import psutil
import pytest

from objectives.devices import host_memory
from objectives.devices.host_memory import HostMemory
from objectives.devices.open_device import open_device
from objectives.plain_data.units import MIB


def test_beside_a_gpu_it_is_not_touched_and_is_that_of_the_whole_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("it was touched")

    monkeypatch.setattr(subprocess, "run", refuse)
    monkeypatch.setattr(host_memory, "_cgroup_limit", lambda: None)
    device = open_device("cpu", is_shared=False)
    assert device.identity.total_mib == pytest.approx(psutil.virtual_memory().total / MIB)
    assert 0 < device.sample().free_mib < device.identity.total_mib


def test_hundreds_of_gib_that_take_too_long_to_touch_are_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timeouts = list[object]()

    def late(command: list[str], **more: object) -> None:
        timeouts.append(more["timeout"])
        raise subprocess.TimeoutExpired(command, 120)

    monkeypatch.setattr(subprocess, "run", late)
    total = psutil.virtual_memory().total
    promised = psutil.virtual_memory()._replace(total=2 * total)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: promised)
    assert HostMemory().identity.total_mib <= total / MIB * 1.01 and timeouts == [120]
