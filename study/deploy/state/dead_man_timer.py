"""The timer that outlives us: rolls a change back unless it is disarmed in time, whatever became of our process.

It starts `study.deploy.dead_man`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from study.deploy.config.deployment import Deployment
from study.systemd import systemctl

ROOT = Path(__file__).resolve().parents[3]
BOOTED = Path("/run/systemd/system")  # sd_booted(3)
ENTRY = "study.deploy.dead_man"
COPY = "deployment-of-change.yaml"


def unit_name(deployment: Deployment) -> str:
    """The timer's name, without its suffix."""
    return f"gpu-allocation-{deployment.name}-dead-man"


def arm(deployment: Deployment, seconds: float) -> str:
    """Start the timer; its name. It works from a copy of the deployment file, which may change meanwhile.

    raises: SetupError where it cannot be armed
    """
    copy = deployment.folder / COPY
    copy.unlink(missing_ok=True)
    copy.touch(
        mode=0o600
    )  # whatever the umask: what others could write, the timer would refuse to read
    copy.write_bytes(deployment.path.read_bytes())
    name = unit_name(deployment)
    command = [sys.executable, "-m", ENTRY, str(deployment.folder), str(copy)]
    if (
        not BOOTED.is_dir()
    ):  # no systemd: a process of its own session, which at least survives ours
        waiting = [sys.executable, "-m", ENTRY, "--after", f"{seconds:g}", *command[3:]]
        child = subprocess.Popen(
            waiting, cwd=ROOT, start_new_session=True, stdin=subprocess.DEVNULL
        )
        return f"pid {child.pid}"
    disarm(name)
    systemctl.run(
        "systemd-run", f"--unit={name}", f"--on-active={seconds:.1f}s", "--timer-property=AccuracySec=100ms",
        "--property=Restart=on-abnormal", "--property=RestartSec=1",  # killed in the middle, it begins again
        "--collect", "--quiet", f"--working-directory={ROOT}", f"--description=rolls {deployment.name} back",
        "--", *command,
    )  # fmt: skip
    return name


def disarm(name: str | None) -> None:
    """Stop the timer; fine when it is not there."""
    if name is None:
        return
    if name.startswith("pid "):
        systemctl.run("kill", name.removeprefix("pid "), check=False)
        return
    systemctl.run("systemctl", "stop", f"{name}.timer", check=False)
    systemctl.run("systemctl", "reset-failed", f"{name}.service", check=False)
