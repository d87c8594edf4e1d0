"""Compare the tournament with other samplers on problems whose best is known.

    python scripts/compare_samplers.py --quick                                        under a minute: does it work?
    python scripts/compare_samplers.py --samplers tournament tpe --problems smooth    two samplers, one kind of table
    python scripts/compare_samplers.py --seeds 200 --out artifacts/comparison         everything

Stopped, it goes on where it was when the same command is run again. Needs `pip install -e '.[bench]'`.
Exit: 0 done, 2 bad input, 3 a package is missing, 130 stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from study.terminal import exiting

QUICK = {"samplers": ["tournament", "tpe", "random", "nsga2", "exhaustive"], "problems": ["smooth", "noisy-cliff"]}


def main() -> None:
    """Arguments -> a contest -> one call."""
    parser = argparse.ArgumentParser(
        usage=argparse.SUPPRESS, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samplers", nargs="+", metavar="NAME", help="default: all that are installed")
    parser.add_argument("--problems", nargs="+", metavar="NAME", help="default: all that are installed")
    parser.add_argument("--seeds", type=int, default=200, metavar="N", help="of the tables; fewer where it is slow")
    parser.add_argument(
        "--batches", type=int, nargs="+", default=[1, 5], metavar="N", help="asked at once; default 1 5"
    )
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes; default 2")
    parser.add_argument("--ask-sizes", type=int, nargs="*", default=[100, 1_000, 10_000], metavar="N",
                        help="trials in the studies in which an ask is timed; none: no timing")  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: artifacts/comparison, or -quick")
    parser.add_argument("--quick", action="store_true", help="five samplers, two problems, ten seeds")
    given = parser.parse_args()
    for name in ("seeds", "batches", "jobs", "ask_sizes"):
        value = getattr(given, name)
        if any(not 1 <= n <= 1_000_000 for n in (value if isinstance(value, list) else [value])):
            parser.error(f"--{name.replace('_', '-')} must be 1 or more")
    with exiting():
        from study.contest import entered  # noqa: PLC0415  after --help
        from study.results import compare, show  # noqa: PLC0415

        if given.quick:
            given.samplers, given.problems = given.samplers or QUICK["samplers"], given.problems or QUICK["problems"]
            given.seeds, given.ask_sizes = min(given.seeds, 10), [100]
        contest, notes = entered(given.samplers, given.problems, seeds=given.seeds, batches=tuple(given.batches))
        out = given.out or Path("artifacts") / ("comparison-quick" if given.quick else "comparison")
        console = Console(highlight=False)
        show(compare(contest, out, jobs=given.jobs, ask_sizes=given.ask_sizes, notes=notes, console=console), console)


if __name__ == "__main__":
    main()
