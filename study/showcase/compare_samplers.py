"""Compare the tournament with other samplers on problems whose best is known.

    python scripts/compare_samplers.py --quick            under a minute: does it work?
    python scripts/compare_samplers.py --samplers tournament tpe --problems smooth
                                                          two samplers, one kind of table
    python scripts/compare_samplers.py --problems hills ridges cliffs --to-target
                                                          tables that nobody tuned to, quickly
    python scripts/compare_samplers.py --seeds 200 --out artifacts/comparison
                                                          nearly everything, in about an hour

Stopped, it goes on where it was when the same command is run again.
Needs `pip install -e '.[bench]'`.
Exit: 0 done, 2 bad input, 3 a package is missing, 130 stopped.
"""

from __future__ import annotations

from pathlib import Path

from study.cli.parser import parser
from study.sampler_benchmark.ask_time import STORAGES, STUDY_SIZES
from study.sampler_benchmark.problems.suites import PROBLEMS
from study.sampler_benchmark.samplers import RIVALS


def main() -> None:
    """Enter the contest that the arguments describe, and show its results."""
    options = parser(__doc__)
    add = options.add_argument
    add("--samplers", nargs="+", metavar="NAME", help=f"of {', '.join(RIVALS)}; default: all")
    add(
        "--problems",
        nargs="+",
        metavar="NAME",
        help=f"of {', '.join(PROBLEMS)}; default: nearly all",
    )
    add("--seeds", type=int, metavar="N", help="of the tables, fewer where it is slow; default 200")
    add(
        "--batches",
        type=int,
        nargs="+",
        default=[1, 5],
        metavar="N",
        help="asked at once; default 1 5",
    )
    add("--jobs", type=int, default=2, metavar="N", help="processes; default 2")
    add(
        "--ask-sizes",
        type=int,
        nargs="*",
        metavar="N",
        help="time asks in studies of so many trials",
    )
    add(
        "--ask-pending",
        type=int,
        nargs="+",
        default=[0],
        metavar="N",
        help="time them beside so many running trials",
    )
    add("--out", type=Path, metavar="DIR", help="default: artifacts/comparison")
    add("--to-target", action="store_true", help="end each run at its target: quicker, tells less")
    add("--quick", action="store_true", help="five samplers, two problems, ten seeds")
    arguments = options.parse_args()
    is_quick = arguments.quick
    seeds = arguments.seeds if arguments.seeds is not None else 10 if is_quick else 200
    is_part = bool(arguments.samplers or arguments.problems)
    usual_sizes = () if is_part else STUDY_SIZES[:1] if is_quick else STUDY_SIZES
    sizes = usual_sizes if arguments.ask_sizes is None else arguments.ask_sizes
    for name, values in (
        ("seeds", [seeds]),
        ("batches", arguments.batches),
        ("jobs", [arguments.jobs]),
        ("ask-sizes", sizes),
        ("ask-pending", [n + 1 for n in arguments.ask_pending]),
    ):
        if not all(1 <= n <= 1_000_000 for n in values):
            least = 0 if name == "ask-pending" else 1
            options.error(f"--{name} must be {least} or more")

    from rich.console import Console

    from study.cli.exit_codes import exiting
    from study.cli.output_folder import usable
    from study.sampler_benchmark.contest import entered

    with exiting():
        contest, notes = entered(
            arguments.samplers,
            arguments.problems,
            arguments.batches,
            seeds,
            quick=is_quick,
            to_target=arguments.to_target,
        )
        # it draws: `entered` says what that needs
        from study.sampler_benchmark.results import compare_samplers, show_results

        usual_out = Path("artifacts") / ("comparison-quick" if is_quick else "comparison")
        console = Console(highlight=False)
        results = compare_samplers(
            contest,
            usable(arguments.out or usual_out, "--out"),
            jobs=arguments.jobs,
            ask_sizes=sizes,
            ask_storages=STORAGES[:1] if is_quick else STORAGES,
            ask_pending=arguments.ask_pending,
            notes=notes,
            console=console,
        )
        show_results(results, console)
