"""Run the experiments of a D-REAM file in rotation, each in a process of its own.

    python scripts/run_dream.py --config dream.yaml --logdir logs/dream
                                                      until it is stopped
    python scripts/run_dream.py --config dream.yaml --logdir logs/dream --experiment NAME --cycles 1
                                                      one experiment, one cycle
    python scripts/run_dream.py --config dream.yaml --logdir logs/dream --status
                                                      where every experiment stands

`python -m study.dream` is the same. An experiment is any evaluator of your own, or a study of this
project. Run again, it goes on where it stopped. Exit: 0 done, 2 bad input, 3 set-up, 130 stopped.
"""

from __future__ import annotations

import signal
from pathlib import Path

from study.cli.parser import parser


def main() -> None:
    """Run the experiments that the arguments name."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the runner listens to it
    options = parser(__doc__)
    add = options.add_argument
    add("--config", type=Path, required=True, metavar="FILE", help="read anew before each cycle")
    add(
        "--logdir", type=Path, required=True, metavar="DIR", help="runner.log, a file of lines each"
    )
    add(
        "--epochs-per-cycle",
        type=int,
        default=1,
        metavar="N",
        help="generations of each experiment in a cycle (default 1)",
    )
    add(
        "--max-parallel",
        type=int,
        metavar="N",
        help="experiments at once, at most one a device; default: the file's, or 1",
    )
    add(
        "--sleep-between-cycles",
        type=float,
        default=0.0,
        metavar="S",
        help="seconds (default 0)",
    )
    add("--cycles", type=int, metavar="N", help="end after so many; default: go on")
    add("--experiment", metavar="NAME", help="only this one, also where it is not enabled")
    add("--out", type=Path, metavar="DIR", help="default: run.artifact_root, or artifacts/dream")
    add("--status", action="store_true", help="show where every experiment stands, and end")
    add("--print-unit", action="store_true", help="print a unit of systemd that runs this, and end")
    arguments = options.parse_args()
    limits = (
        ("epochs_per_cycle", 1, 10_000),
        ("max_parallel", 1, 1000),
        ("sleep_between_cycles", 0, 1e7),
        ("cycles", 1, 2**31 - 1),
    )
    for name, least, most in limits:
        value = getattr(arguments, name)
        if value is not None and not least <= value <= most:
            options.error(f"--{name.replace('_', '-')} must be from {least} to {most}, not {value}")

    from study.cli.exit_codes import exiting
    from study.dream.rotation.main import run_dream, show_status
    from study.dream.rotation.unit import unit_text
    from study.dream.schedule.options import RunnerOptions

    with exiting():
        chosen = RunnerOptions(
            config=arguments.config,
            logdir=arguments.logdir,
            root=arguments.out,
            epochs_per_cycle=arguments.epochs_per_cycle,
            max_parallel=arguments.max_parallel,
            sleep_s=arguments.sleep_between_cycles,
            cycles=arguments.cycles,
            experiment=arguments.experiment,
        )
        if arguments.print_unit:
            print(unit_text(chosen), end="")
            raise SystemExit(0)
        if arguments.status:
            show_status(chosen)
            raise SystemExit(0)
        raise SystemExit(run_dream(chosen))
