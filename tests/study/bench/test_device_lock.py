"""Checks that one user at a time has a device, across processes.

No lock outlives its holder.
"""

import os
import signal
import subprocess
import sys

import pytest

from objectives.devices.machine_lock import lock_file
from objectives.errors import SetupError
from study.bench.device_lock import sole_use

HOLD = (
    "import sys, time\nfrom study.bench.device_lock import sole_use\n"
    "with sole_use(sys.argv[1]):\n    print('held', flush=True)\n    time.sleep(60)\n"
)


@pytest.fixture
def elsewhere():
    """Start another process that holds the device GPU-1."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, "GPU-1"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_user_is_refused_and_told_who_holds_the_device(elsewhere):
    with (
        pytest.raises(
            SetupError, match=rf"GPU-1 is in use .*process {elsewhere.pid}: .*wait for it"
        ),
        sole_use("GPU-1"),
    ):
        pass


def test_another_device_is_free(elsewhere):
    with sole_use("GPU-2"):
        pass


def test_a_killed_holder_leaves_nothing_behind(elsewhere):
    os.kill(elsewhere.pid, signal.SIGKILL)
    elsewhere.wait()
    with sole_use("GPU-1"):
        pass
    with sole_use("GPU-1"):
        pass


def test_a_child_does_not_inherit_the_lock():
    with sole_use("GPU-3"):
        script = "import time; print('up', flush=True); time.sleep(60)"
        child = subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, close_fds=False
        )
        assert child.stdout.readline() == b"up\n"
    try:
        with sole_use("GPU-3"):
            pass
    finally:
        child.kill()
        child.communicate()


def test_a_link_in_the_place_of_the_lock_is_refused(tmp_path):
    target = tmp_path / "important"
    target.write_text("kept")
    lock_file("GPU-4").symlink_to(target)
    with pytest.raises(SetupError, match="cannot be opened"), sole_use("GPU-4"):
        pass
    assert target.read_text() == "kept"


def test_who_may_not_write_the_file_can_lock_it():
    lock_file("GPU-5").touch()
    lock_file("GPU-5").chmod(0o444)
    with sole_use("GPU-5"), pytest.raises(SetupError, match="in use"), sole_use("GPU-5"):
        pass


def test_a_name_cannot_leave_the_folder():
    assert lock_file("../../etc/passwd").name == "gpu-allocation-.._.._etc_passwd.lock"


def test_all_users_of_the_machine_share_one_file(monkeypatch):
    monkeypatch.delenv("ALLOCATION_STUDY_LOCKS")
    assert str(lock_file("GPU-6")) in (
        "/run/lock/gpu-allocation-GPU-6.lock",
        "/tmp/gpu-allocation-GPU-6.lock",
    )
