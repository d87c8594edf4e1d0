"""The watch runs as a systemd unit of its own, written and installed here."""

from __future__ import annotations

import sys
from pathlib import Path

from objectives.errors import BadInput
from objectives.plain_data.atomic import write_atomic
from study.deploy.config.deployment import Deployment
from study.deploy.recover import needs_root
from study.deploy.targets.unit_checks import ETC
from study.promotion.trust import ROOT_ONLY, check_trusted
from study.service_pause.restore_promise import word
from study.systemd import systemctl, units

WATCH_UNIT = "gpu-allocation-watch.service"


def unit_text(deployment: Deployment) -> str:
    """Return a complete unit for the watch, with this interpreter and these paths.

    It needs root only for `auto: true`.
    """
    root = Path(__file__).resolve().parents[3]
    owner = "" if deployment.watch.auto else "DynamicUser=yes\nProtectHome=read-only\n"
    script, folder = str(root / "scripts/promote.py"), str(root).replace("%", "%%")
    argv = (sys.executable, script, "watch", "--deployment", str(deployment.path))
    return (
        "# by scripts/promote.py watch --print-unit\n"
        f"[Unit]\nDescription=Watch of the GPU allocation {deployment.name}\n"
        # not After= the services: systemd would start none of them while it stops this one, which
        # takes an apply of its own back then
        "After=multi-user.target\n\n"
        f"[Service]\nExecStart={' '.join(map(word, argv))}\n"
        f'WorkingDirectory={folder}\nEnvironment="PYTHONPATH={folder}"\n'
        f"Restart=always\nRestartSec=60\n{owner}"
        f"KillMode=mixed\nTimeoutStopSec={90 + deployment.restart_s:.0f}\n"
        "Nice=10\nCPUQuota=25%\nMemoryMax=1G\n\n[Install]\nWantedBy=multi-user.target\n"
    )


def install_unit(deployment: Deployment) -> str:
    """Put the unit into /etc, enable and start it, and return a sentence that says so.

    Raises:
        BadInput: The deployment file is not of root.
        SetupError: There is no root or no systemd.
    """
    needs_root(deployment)
    if deployment.path.stat().st_uid != 0:
        raise BadInput(
            f"{deployment.path}: a service of root's needs a file of root's; "
            f"run `sudo chown root {deployment.path}`"
        )
    if deployment.watch.auto:
        check_trusted(deployment.path, ROOT_ONLY)
        if (folder := deployment.promotions_folder).exists():
            check_trusted(folder, ROOT_ONLY)
    systemctl.run("systemctl", "show", "--property=Version")  # nothing is written where none runs
    write_atomic(ETC / WATCH_UNIT, unit_text(deployment), mode=0o644, durable=True)
    units.reload()
    systemctl.run("systemctl", "enable", WATCH_UNIT)
    systemctl.run("systemctl", "restart", WATCH_UNIT)
    return f"{ETC / WATCH_UNIT} runs; read it with `journalctl -u {WATCH_UNIT} -o cat`"
