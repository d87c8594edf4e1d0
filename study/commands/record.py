"""Measure a whole search space live into one file that studies can replay anywhere.

    python scripts/record.py study/specs/cpu.yaml --repeats 2 --out cpu.jsonl

Each round begins and ends with the baseline. Every launch is real; failures are recorded with their
evidence. Run again, it goes on where it stopped. What live studies have launched counts too, and
recordings become one:

    python scripts/record.py SPEC --take artifacts/NAME/study.db --out a.jsonl
    python scripts/record.py SPEC --repeats 0 --take a.jsonl --take b.jsonl --out both.jsonl
Exit: 0 done, 2 bad input, 3 set-up, 130 stopped.
"""

from __future__ import annotations

from pathlib import Path

from study.cli.parser import add_devices, add_timeout, parser
from study.service_pause.options import add_lending, lending


def main() -> None:
    """Measure or merge into the recording that the arguments name."""
    options = parser(__doc__)
    add = options.add_argument
    add("spec", type=Path, metavar="SPEC", help="a spec with `measure: live`")
    add("--experiment", metavar="NAME", help="the entry of an `experiments:` list")
    add(
        "--repeats",
        type=int,
        default=2,
        metavar="N",
        help="launches per configuration (default 2; 0: only --take)",
    )
    add("--out", type=Path, metavar="FILE", help="default: artifacts/<name>/recording.jsonl")
    add_timeout(options)
    add(
        "--take",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="count this recording or study.db too",
    )
    add(
        "--points",
        type=int,
        metavar="N",
        help="only N, spread over the space; later rounds N/4 again",
    )
    add("--part", type=int, nargs=2, default=(1, 1), metavar=("I", "N"), help="for N cards at once")
    add_devices(options)
    add_lending(options)
    arguments = options.parse_args()
    part, parts = arguments.part
    if arguments.repeats < 0 or (arguments.points or 1) < 1 or not 1 <= part <= parts:
        options.error(
            "--repeats must not be negative, --points at least 1, "
            "--part such as 2 3: the second of three"
        )

    from study.cli.exit_codes import exiting
    from study.cli.say import say
    from study.recording.record import record
    from study.spec.load import load

    with exiting():
        spec = load(arguments.spec, arguments.experiment)
        out = arguments.out or Path("artifacts") / spec.name / "recording.jsonl"
        recording = record(
            spec,
            out,
            arguments.repeats,
            say,
            timeout_s=arguments.timeout,
            take=arguments.take,
            points=arguments.points,
            part=(part, parts),
            lending=lending(arguments),
            devices=arguments.devices,
        )
        entries = recording.entries
        failed = sum(entry.measurement is None for entry in entries)
        counted = f"{len(entries)} evaluations, {failed} of them failures"
        say(f"{out}: {counted}; {recording.sentence()}")
