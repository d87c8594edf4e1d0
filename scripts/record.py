"""Measure a whole search space live into one file that studies can replay anywhere.

    python scripts/record.py study/specs/cpu.yaml --repeats 2 --out cpu.jsonl

Each round begins and ends with the baseline. Every launch is real; failures are recorded with their evidence.
Run again, it goes on where it stopped. What live studies have launched counts too, and recordings become one:

    python scripts/record.py SPEC --take artifacts/NAME/study.db --out a.jsonl
    python scripts/record.py SPEC --repeats 0 --take a.jsonl --take b.jsonl --out both.jsonl
Exit: 0 done, 2 bad input, 3 set-up, 130 stopped.
"""

from __future__ import annotations

from pathlib import Path

import study.cli.startup  # noqa: F401
from study.cli.exit_codes import exiting
from study.cli.parser import parser
from study.recording.record import record
from study.service_pause.options import add_lending, lending
from study.spec.load import load


def main() -> None:
    """Arguments -> spec -> one call."""
    options = parser(__doc__)
    options.add_argument("spec", type=Path, metavar="SPEC", help="a spec with `measure: live`")
    options.add_argument("--experiment", metavar="NAME", help="the entry of an `experiments:` list")
    options.add_argument(
        "--repeats",
        type=int,
        default=2,
        metavar="N",
        help="launches per configuration (default 2; 0: only --take)",
    )
    options.add_argument(
        "--out", type=Path, metavar="FILE", help="default: artifacts/<name>/recording.jsonl"
    )
    options.add_argument(
        "--timeout", type=float, metavar="S", help="begin nothing that would not end in this time"
    )
    options.add_argument(
        "--take",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="count this recording or study.db too",
    )
    options.add_argument(
        "--points",
        type=int,
        metavar="N",
        help="only N, spread over the space; later rounds N/4 again",
    )
    options.add_argument(
        "--part", type=int, nargs=2, default=(1, 1), metavar=("I", "N"), help="for N cards at once"
    )
    add_lending(options)
    arguments = options.parse_args()
    if (
        arguments.repeats < 0
        or (arguments.points or 1) < 1
        or not 1 <= arguments.part[0] <= arguments.part[1]
    ):
        options.error(
            "--repeats must not be negative, --points at least 1, --part such as 2 3: the second of three"
        )
    with exiting():
        spec = load(arguments.spec, arguments.experiment)
        out = arguments.out or Path("artifacts") / spec.name / "recording.jsonl"
        found = record(
            spec, out, arguments.repeats, lambda s: print(s, flush=True),
            timeout_s=arguments.timeout, take=arguments.take, points=arguments.points, part=tuple(arguments.part),
            lending=lending(arguments),
        )  # fmt: skip
        failed = sum(e.measurement is None for e in found.entries)
        print(
            f"{out}: {len(found.entries)} evaluations, {failed} of them failures; {found.sentence()}"
        )


if __name__ == "__main__":
    main()
