"""Measure how late our requests leave beside the real servers of a spec.

    python scripts/bench_lateness.py my_gpu.yaml
    python scripts/bench_lateness.py study/specs/cpu.yaml --rates 1 2 --out late.jsonl

It launches the baseline and sends windows of 12 s at 2, 4, 8 and 16 requests a second, half of them
prompts and half of them clips: a minute after the servers are ready. The traffic of the spec gives
the sizes alone. Exit: 0 shown, 2 bad input, 3 where the servers do not run.
"""

from __future__ import annotations

from pathlib import Path

import study.cli.startup  # noqa: F401
from study.bench.lateness import lateness_beside, save_lateness, show_lateness
from study.cli.exit_codes import exiting
from study.cli.parser import parser
from study.spec.load import load


def main() -> None:
    """Load the servers at each rate, and show one table."""
    options = parser(__doc__)
    add = options.add_argument
    add("spec", type=Path, metavar="SPEC", help="a spec with `measure: live`")
    rates_help = "requests a second, of each window (default 2 4 8 16)"
    add("--rates", type=float, nargs="+", default=[2, 4, 8, 16], metavar="N", help=rates_help)
    add("--window", type=float, default=12.0, metavar="S", help="its length (default 12)")
    add("--out", type=Path, metavar="FILE", help="the same, a line of JSON for each rate")
    folder = Path("artifacts") / "bench_lateness"
    add("--logs", type=Path, default=folder, metavar="FOLDER", help=f"default {folder}")
    arguments = options.parse_args()
    rates = arguments.rates
    if not 0.1 <= min(rates) <= max(rates) <= 1000 or not 1 <= arguments.window <= 600:
        options.error("--rates must be from 0.1 to 1000, --window from 1 to 600")
    with exiting():
        spec = load(arguments.spec)
        windows = lateness_beside(spec, rates, arguments.window, arguments.logs, print)
        if arguments.out is not None:
            save_lateness(windows, arguments.out)
        show_lateness(windows)


if __name__ == "__main__":
    main()
