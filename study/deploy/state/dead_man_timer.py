"""The dead-man timer outlives us: it rolls a change back unless it is disarmed in time.

It starts `study.deploy.dead_man`, whatever became of our process.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from objectives.errors import BadInput
from objectives.plain_data.atomic import write_atomic
from study.deploy.config.deployment import Deployment
from study.deploy.config.load import load_deployment
from study.deploy.state.process_id import ProcessId, process_id
from study.systemd import systemctl

ROOT = Path(__file__).resolve().parents[3]
BOOTED = Path("/run/systemd/system")  # sd_booted(3)
ENTRY = "study.deploy.dead_man"
COPY = "deployment-of-change.yaml"


@dataclass(frozen=True, slots=True)
class DeadMan:
    """An armed timer is a unit of systemd's, or a waiting process where no systemd runs.

    Args:
        unit: The timer unit's name without its suffix.
        process: The process that waits.
    """

    unit: str | None = None
    process: ProcessId | None = None


def timer_of(deployment: Deployment) -> DeadMan:
    """Return the timer that systemd would run for a change of this deployment."""
    return DeadMan(unit=f"gpu-allocation-{deployment.name}-dead-man")


def check_same(deployment: Deployment) -> None:
    """Check that a change under way is of what the deployment file names now.

    Raises:
        BadInput: It is of other units, or of another env file, which would stay changed.
    """
    copy = deployment.folder / COPY
    try:
        began = load_deployment(copy)
    except (OSError, BadInput):
        return
    if _changed_by(began) != _changed_by(deployment):
        raise BadInput(
            f"{deployment.path}: since a change began it names other services, units or another "
            "env file, and what it no longer names would stay changed; end that change first: "
            f"`sudo python scripts/promote.py rollback --deployment {copy}`"
        )


def _changed_by(deployment: Deployment) -> object:
    services = {name: service.unit for name, service in deployment.services.items()}
    return services, deployment.env_file and deployment.env_file.path


def arm(deployment: Deployment, seconds: float) -> DeadMan:
    """Start the timer, with a copy of the deployment file, which may change meanwhile.

    Raises:
        SetupError: It cannot be armed.
    """
    copy = deployment.folder / COPY
    # what others could write, the timer would refuse to read
    write_atomic(copy, deployment.path.read_bytes(), mode=0o600, durable=True)
    arguments = [str(deployment.folder), str(copy)]
    if not BOOTED.is_dir():  # a process of its own session at least survives ours
        waiting = [sys.executable, "-m", ENTRY, "--after", f"{seconds:g}", *arguments]
        child = subprocess.Popen(
            waiting, cwd=ROOT, start_new_session=True, stdin=subprocess.DEVNULL
        )
        return DeadMan(process=process_id(child.pid))
    timer = timer_of(deployment)
    disarm(timer)
    systemctl.run(
        "systemd-run",
        f"--unit={timer.unit}",
        f"--on-active={seconds:.1f}s",
        "--timer-property=AccuracySec=100ms",
        "--property=Restart=on-abnormal",  # killed in the middle, it begins again
        "--property=RestartSec=1",
        "--collect",
        "--quiet",
        f"--working-directory={ROOT}",
        f"--description=rolls {deployment.name} back",
        "--",
        *(sys.executable, "-m", ENTRY, *arguments),
    )
    return timer


def disarm(timer: DeadMan | None) -> None:
    """Stop the timer; fine when it is not there, or its number is another process's by now."""
    if timer is None:
        return
    if timer.process is not None:
        timer.process.send(signal.SIGTERM)
        return
    systemctl.run("systemctl", "stop", f"{timer.unit}.timer", check=False)
    systemctl.run("systemctl", "reset-failed", f"{timer.unit}.service", check=False)
