r"""Confirm a promotion: baseline and winner are launched afresh in turn.

    python scripts/confirm.py artifacts/promotions/NAME.yaml
    python scripts/confirm.py artifacts/promotions/NAME.yaml --claim llm_latency_ms \
        --workloads long_context

They are launched until it is clear whether the winner is better: first the baseline against
itself, then a stress of the winner, then pairs. Run again, it goes on where it stopped.
Exit: 0 confirmed, 4 rejected, 5 inconclusive, 2 bad input, 3 set-up, 130 stopped.
"""

from __future__ import annotations

from argparse import SUPPRESS
from functools import partial
from pathlib import Path

from study.cli.parser import parser
from study.service_pause.options import add_lending, lending
from study.spec.choices import CLAIMS


def main() -> None:
    """Confirm the promotion that the arguments name."""
    options = parser(__doc__)
    add = options.add_argument
    add("promotion", type=Path, metavar="PROMOTION", help="the file that a study wrote")
    add(
        "--pairs",
        type=int,
        default=6,
        metavar="N",
        help="of baseline and winner (default 6, the least)",
    )
    add(
        "--workloads",
        nargs="+",
        metavar="NAME",
        help="held out; default: the spec's, or voice_assistant",
    )
    add("--claim", choices=CLAIMS, help="what must be better; default: the spec's, or fitness")
    add(
        "--margin",
        action="append",
        default=[],
        metavar="PCT",
        help="percent others may be worse (5); METRIC=PCT: one",
    )
    add(
        "--aa-pairs",
        type=int,
        default=2,
        metavar="N",
        help="of the baseline against itself (default 2)",
    )
    add(
        "--ramp",
        type=float,
        metavar="S",
        help="in place of the spec's ramp_s; 0: capacity is not judged",
    )
    add("--ladder", nargs="?", const="", help=SUPPRESS)
    add("--timeout", type=float, metavar="S", help="begin nothing that would not end in this time")
    add("--spec", type=Path, metavar="FILE", help="default: where the promotion says it was")
    add("--experiment", metavar="NAME", help="the entry of an `experiments:` list")
    add("--out", type=Path, default=Path("artifacts"), metavar="DIR", help="default: artifacts")
    add("--fresh", action="store_true", help="begin anew; the confirmation tells it")
    add_lending(options)
    arguments = options.parse_args()
    if arguments.ladder is not None:
        options.error("--ladder is a word of 0.1, and the ladder is gone; write --ramp S")
    limits = (("pairs", 6, 100), ("aa_pairs", 1, 50), ("timeout", 1, 1e7), ("ramp", 0, 1e5))
    for name, least, most in limits:
        value = getattr(arguments, name)
        if value is not None and not least <= value <= most:
            options.error(
                f"--{name.replace('_', '-')} must be from {least} to {most:g}, not {value}"
            )

    from study.cli.exit_codes import exiting
    from study.confirmation.confirm import ConfirmOptions, confirm
    from study.confirmation.subject import subject

    with exiting():
        confirmed = subject(
            arguments.promotion,
            spec_file=arguments.spec,
            experiment=arguments.experiment,
            claim=arguments.claim,
            margins=arguments.margin,
            aa_pairs=arguments.aa_pairs,
            workloads=arguments.workloads,
            ramp_s=arguments.ramp,
        )
        chosen = ConfirmOptions(
            pairs=arguments.pairs,
            timeout_s=arguments.timeout,
            out=arguments.out,
            fresh=arguments.fresh,
            lending=lending(arguments),
        )
        raise SystemExit(confirm(confirmed, chosen, partial(print, flush=True)))
