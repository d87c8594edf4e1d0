"""Search how one device is divided between an LLM server and speech recognition.

    python scripts/run_study.py                            replay measurements that ship with the project
    python scripts/run_study.py study/specs/cpu.yaml       measure this machine, without a GPU
    python scripts/run_study.py my_gpu.yaml --dry-run      what would be launched, and how long it takes

Run again, it goes on where it stopped. Exit: 0 done, 2 bad input, 3 set-up, 4 nothing feasible, 130 stopped.
"""

from __future__ import annotations

from pathlib import Path

import study.cli.startup  # noqa: F401
from objectives.fitness import PRESETS
from study.cli.console import Terminal
from study.cli.exit_codes import exiting
from study.cli.parser import parser
from study.run import run
from study.run_plan import Options
from study.search.samplers import NAMES
from study.service_pause.options import add_lending, lending
from study.spec.load import load
from study.spec.model import RECORDED


def main() -> None:
    """Arguments -> spec and options -> one call."""
    options = parser(__doc__)
    options.add_argument(
        "spec", nargs="?", type=Path, metavar="SPEC", help="default: the replay that ships"
    )
    options.add_argument("--experiment", metavar="NAME", help="the entry of an `experiments:` list")
    options.add_argument(
        "--sampler", choices=(*NAMES, RECORDED), help="default: the spec's, or tournament"
    )
    options.add_argument(
        "--preset",
        choices=PRESETS,
        help="weigh anew what was measured; default: the spec's weights",
    )
    options.add_argument(
        "--n-trials", type=int, metavar="N", help="trials over all runs; default: the spec's budget"
    )
    options.add_argument(
        "--timeout", type=float, metavar="S", help="seconds of this run; default: the spec's budget"
    )
    options.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the sampler (default 0)"
    )
    options.add_argument(
        "--storage", metavar="URL", help="default: sqlite:///artifacts/<name>/study.db"
    )
    options.add_argument("--study-name", metavar="NAME", help="default: <name>-<sampler>-<seed>")
    options.add_argument(
        "--out", type=Path, default=Path("artifacts"), metavar="DIR", help="default: artifacts"
    )
    options.add_argument(
        "--fresh", action="store_true", help="open a new study beside the old one; deletes nothing"
    )
    options.add_argument(
        "--restart-per-trial", action="store_true", help="never keep a server: what keeping saves"
    )
    add_lending(options)
    options.add_argument("--dry-run", action="store_true", help="print the plan and launch nothing")
    options.add_argument(
        "--json", action="store_true", help="one JSON object per trial on standard output"
    )
    options.add_argument("--quiet", action="store_true", help="only the end")
    given = options.parse_args()
    for name, least, most in (
        ("n_trials", 1, 2**31 - 1),
        ("timeout", 0.001, 1e7),
        ("seed", 0, 2**31 - 1),
    ):
        if (value := getattr(given, name)) is not None and not least <= value <= most:
            options.error(f"--{name.replace('_', '-')} must be from {least} to {most}, not {value}")
    with exiting():
        chosen = Options(
            sampler=given.sampler, n_trials=given.n_trials, timeout_s=given.timeout, seed=given.seed,
            storage=given.storage, study_name=given.study_name, out=given.out, fresh=given.fresh,
            lending=lending(given), dry_run=given.dry_run, preset=given.preset,
            restart_per_trial=given.restart_per_trial,
        )  # fmt: skip
        terminal = Terminal(quiet=given.quiet and not given.dry_run, as_json=given.json)
        raise SystemExit(run(load(given.spec, given.experiment), chosen, terminal))


if __name__ == "__main__":
    main()
