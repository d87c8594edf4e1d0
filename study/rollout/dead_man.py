"""The timer that outlives us: rolls a change back unless it is disarmed in time, whatever became of our process.

systemd starts it as `python -m study.rollout.dead_man STATE_FOLDER DEPLOYMENT`; nobody else needs to.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from study.rollout import pending
from study.rollout.deployment import Deployment
from study.systemd import systemctl

ROOT = Path(__file__).resolve().parents[2]
BOOTED = Path("/run/systemd/system")  # sd_booted(3)
COPY = "deployment-of-change.yaml"


def unit_name(deployment: Deployment) -> str:
    """The timer's name, without its suffix."""
    return f"gpu-allocation-{deployment.name}-dead-man"


def arm(deployment: Deployment, seconds: float) -> str:
    """Start the timer; its name. It works from a copy of the deployment file, which may change meanwhile.

    raises: StepFailed or SetupError where it cannot be armed
    """
    copy = deployment.folder / COPY
    copy.unlink(missing_ok=True)
    copy.touch(mode=0o600)  # whatever the umask: what others could write, the timer would refuse to read
    copy.write_bytes(deployment.path.read_bytes())
    name = unit_name(deployment)
    command = [sys.executable, "-m", "study.rollout.dead_man", str(deployment.folder), str(copy)]
    if not BOOTED.is_dir():  # no systemd: a process of its own session, which at least survives ours
        waiting = [sys.executable, "-m", "study.rollout.dead_man", "--after", f"{seconds:g}", *command[3:]]
        child = subprocess.Popen(waiting, cwd=ROOT, start_new_session=True, stdin=subprocess.DEVNULL)
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


def main() -> int:
    """End the process of the change where it still runs, then roll back; 0 where production answers again."""
    import time  # noqa: PLC0415

    from objectives.errors import StudyError  # noqa: PLC0415
    from study.rollout.deployment_file import load  # noqa: PLC0415
    from study.rollout.settle import settled  # noqa: PLC0415

    words = sys.argv[1:]
    if words[0] == "--after":
        time.sleep(float(words[1]))
        words = words[2:]
    folder, deployment = Path(words[0]), load(Path(words[1]))
    try:
        begun = pending.read(folder)
        is_over = begun is None
    except StudyError as error:
        print(f"error: {error}", flush=True)
        begun, is_over = None, False  # it may be on trial: production is made to agree with the version in force
    if is_over:
        print("nothing is on trial: nothing to do")
        return 0
    try:
        with pending.locked(folder, take_over=begun, wait_s=30):
            pending.put_aside(folder)
            print("the dead-man timer fired: the change was not committed in time", flush=True)
            print(settled(deployment, why="the dead-man timer fired").told, flush=True)
    except StudyError as error:
        print(f"error: {error}", flush=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
