"""Search how one device is divided between an LLM server and speech recognition.

    python scripts/run_study.py                       replay measurements that ship with the project
    python scripts/run_study.py study/specs/cpu.yaml  measure this machine, without a GPU
    python scripts/run_study.py my_gpu.yaml --devices all
                                                      on every GPU of this machine at once
    python scripts/run_study.py my_gpu.yaml --cluster auto
                                                      on every free GPU of a Ray cluster
    python scripts/run_study.py my_gpu.yaml --dry-run
                                                      what would be launched, and how long it takes
    python scripts/run_study.py my_gpu.yaml --dry-run --card "RTX 3060"
                                                      the same on a laptop, for a card elsewhere

Run again, it goes on where it stopped.
Exit: 0 done, 2 bad input, 3 set-up, 4 nothing feasible, 130 stopped.
"""

from __future__ import annotations

from pathlib import Path

from objectives.fitness import PRESETS
from study.cli.parser import (
    add_cluster,
    add_device,
    add_devices,
    add_timeout,
    check_cluster,
    check_total_mib,
    parser,
)
from study.service_pause.options import add_lending, lending
from study.spec.choices import SAMPLERS


def main() -> None:
    """Run the study that the arguments name."""
    options = parser(__doc__)
    add = options.add_argument
    add("spec", nargs="?", type=Path, metavar="SPEC", help="default: the replay that ships")
    add("--experiment", metavar="NAME", help="the entry of an `experiments:` list")
    add("--sampler", choices=SAMPLERS, help="default: the spec's, or tournament")
    add(
        "--preset",
        choices=PRESETS,
        help="weigh anew what was measured; default: the spec's weights",
    )
    add(
        "--n-trials", type=int, metavar="N", help="trials over all runs; default: the spec's budget"
    )
    add_timeout(options, "; default: the spec's budget")
    add("--seed", type=int, default=0, metavar="N", help="of the sampler (default 0)")
    add("--storage", metavar="URL", help="default: sqlite:///artifacts/<name>/study.db")
    add("--study-name", metavar="NAME", help="default: <name>-<sampler>-<seed>")
    add("--out", type=Path, default=Path("artifacts"), metavar="DIR", help="default: artifacts")
    add("--fresh", action="store_true", help="open a new study beside the old one; deletes nothing")
    add("--restart-per-trial", action="store_true", help="never keep a server: what keeping saves")
    add_devices(options)
    add_cluster(options)
    add_lending(options)
    add("--dry-run", action="store_true", help="print the plan and launch nothing")
    add_device(options, "with --dry-run: ")
    add("--json", action="store_true", help="one JSON object per trial on standard output")
    add("--quiet", action="store_true", help="only the end")
    arguments = options.parse_args()
    limits = (("n_trials", 1, 2**31 - 1), ("seed", 0, 2**31 - 1))
    for name, least, most in limits:
        value = getattr(arguments, name)
        if value is not None and not least <= value <= most:
            options.error(f"--{name.replace('_', '-')} must be from {least} to {most}, not {value}")
    check_total_mib(options, arguments.total_mib)
    is_elsewhere = arguments.card is not None or arguments.total_mib is not None
    if is_elsewhere and arguments.devices is not None:
        options.error("--devices names cards of this machine; leave out --card and --total-mib")
    check_cluster(options, arguments)
    if is_elsewhere and not arguments.dry_run:
        options.error("--card and --total-mib plan for a device elsewhere; add --dry-run")

    from study.cli.console import Terminal
    from study.cli.exit_codes import exiting
    from study.run import run
    from study.run_plan import RunOptions
    from study.spec.load import load

    with exiting():
        chosen = RunOptions(
            sampler=arguments.sampler,
            n_trials=arguments.n_trials,
            timeout_s=arguments.timeout,
            seed=arguments.seed,
            storage=arguments.storage,
            study_name=arguments.study_name,
            out=arguments.out,
            fresh=arguments.fresh,
            lending=lending(arguments),
            dry_run=arguments.dry_run,
            preset=arguments.preset,
            restart_per_trial=arguments.restart_per_trial,
            card=arguments.card,
            total_mib=arguments.total_mib,
            devices=arguments.devices,
            cluster=arguments.cluster,
            lanes=arguments.lanes,
            retries=arguments.retries,
        )
        is_quiet = arguments.quiet and not arguments.dry_run
        terminal = Terminal(quiet=is_quiet, as_json=arguments.json)
        spec = load(arguments.spec, arguments.experiment, is_here=not is_elsewhere)
        raise SystemExit(run(spec, chosen, terminal))
