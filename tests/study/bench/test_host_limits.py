"""A dry run says what a small host, a container or WSL2 does not tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from objectives.devices.device import Occupant
from study.bench.host_limits import host_limits

TOLD, UNTOLD = Occupant(7, "game", 900.0, None), Occupant(7, "game", None, None)


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """Return the root of a host that lacks nothing."""
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "sys/fs/cgroup/cgroup.controllers").write_text("memory")
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/version").write_text("Linux version 6.8.0-generic")
    return tmp_path


def test_a_host_that_tells_all_needs_no_word(full: Path) -> None:
    assert host_limits([TOLD], is_gpu=True, root=full) == []


def test_wsl2_says_what_is_not_seen_and_what_works(full: Path) -> None:
    (full / "proc/version").write_text("Linux version 5.15.153.1-microsoft-standard-WSL2")
    driver, windows = host_limits([], is_gpu=True, root=full)
    assert "this driver, under WSL2, does not tell what each process holds" in driver
    assert "is measured all the same" in driver and "Windows' own programs" in windows
    assert host_limits([], is_gpu=False, root=full) == []


def test_a_driver_that_hides_memory_is_told_of_anywhere(full: Path) -> None:
    (line,) = host_limits([TOLD, UNTOLD], is_gpu=True, root=full)
    assert line.startswith("this driver does not tell")


def test_a_container_lacks_systemd_and_perhaps_cgroups(tmp_path: Path) -> None:
    systemd, cgroups = host_limits([TOLD], is_gpu=True, root=tmp_path)
    assert "no systemd runs here: studies, confirmations and reports work" in systemd
    assert "no cgroup v2" in cgroups
