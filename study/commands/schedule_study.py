r"""Write a unit and a timer that run a study under systemd's quotas; nothing is installed.

    python scripts/schedule_study.py my_gpu.yaml --on-calendar 'Sun 03:00' \
        --lend-from judge.service --max-outage 2h
    sudo install -m 644 systemd/gpu-allocation-study.service \
        systemd/gpu-allocation-study.timer /etc/systemd/system/
    sudo systemctl daemon-reload
    sudo systemctl enable --now gpu-allocation-study.timer

A study that runs away is ended from outside: RuntimeMaxSec above the spec's budget, CPUQuota and
MemoryMax not below what the deployed units have, since the servers under test run inside it. Each
run goes on where the last one stopped.
Exit: 0 written, 2 bad input, 3 set-up.
"""

from __future__ import annotations

from pathlib import Path

from study.cli.parser import parser
from study.service_pause.options import add_lending, lending


def main() -> None:
    """Write the unit and the timer of the study that the arguments name."""
    options = parser(__doc__)
    add = options.add_argument
    add("spec", type=Path, metavar="SPEC", help="a spec with `measure: live`")
    add("--on-calendar", default="Sun 03:00", metavar="TIME", help="default 'Sun 03:00'")
    add("--out", type=Path, default=Path("systemd"), metavar="DIR", help="default: systemd")
    add_lending(options)
    arguments = options.parse_args()

    from study.cli.checkout import script_path
    from study.cli.exit_codes import exiting
    from study.service_pause.schedule import schedule
    from study.spec.load import load

    with exiting():
        spec, script = load(arguments.spec), script_path("run_study.py")
        units = schedule(spec, lending(arguments), arguments.on_calendar, arguments.out, script)
        print(*units, sep="\n")
