r"""Confirm a promotion: baseline and winner are launched afresh in turn.

    python scripts/confirm.py artifacts/promotions/NAME.yaml
    python scripts/confirm.py artifacts/promotions/NAME.yaml --claim latency \
        --workloads long_context
    python scripts/confirm.py artifacts/promotions/NAME.yaml --devices all
                                                      pairs on every GPU of this machine at once

First the baseline is launched against itself, then the winner is put under stress, then pairs of
both are measured until a look decides whether the winner is better. Run again, it goes on where
it stopped.
Exit: 0 confirmed, 4 rejected, 5 inconclusive, 2 bad input, 3 set-up, 130 stopped.
"""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, Namespace
from pathlib import Path

from study.cli.parser import add_devices, add_timeout, parser
from study.confirmation.pairs.part import WHOLE, Part
from study.rule.rule import LOOKS, Claim
from study.service_pause.options import add_lending, lending
from study.spec.choices import CLAIMS_OF_0_1, OF_MARGINS


def main() -> None:
    """Confirm the promotion that the arguments name."""
    options = parser(__doc__)
    add = options.add_argument
    add("promotion", type=Path, metavar="PROMOTION", help="the file that a study wrote")
    add(
        "--pairs",
        type=int,
        choices=LOOKS,
        default=LOOKS[-1],
        help="of baseline and winner at most; looked at after 6 and after 12 (default 12)",
    )
    add(
        "--workloads",
        nargs="+",
        metavar="NAME",
        help="held out; default: the spec's, or voice_assistant",
    )
    add(
        "--claim",
        metavar="NAME",
        help=f"what must be better: {', '.join(Claim)}; default: the spec's, or either",
    )
    add("--margin", action="append", nargs="?", const="", help=SUPPRESS)
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
        help="in place of ramp_s, at least 3 x ramp_doubling_s; 0: capacity is not judged",
    )
    add("--part", metavar="K/N", help="of several cards at once this is card K of N; see --take")
    add(
        "--take",
        action="append",
        type=Path,
        default=[],
        metavar="JOURNAL",
        help="merge the pairs.jsonl of several cards and judge them; launches nothing",
    )
    add("--ladder", nargs="?", const="", help=SUPPRESS)
    add_devices(options)
    add("--cluster", nargs="?", const="", help=SUPPRESS)
    add_timeout(options)
    add("--spec", type=Path, metavar="FILE", help="default: where the promotion says it was")
    add("--experiment", metavar="NAME", help="the entry of an `experiments:` list")
    add("--out", type=Path, default=Path("artifacts"), metavar="DIR", help="default: artifacts")
    add("--fresh", action="store_true", help="begin anew; the confirmation tells it")
    add_lending(options)
    arguments = options.parse_args()
    part = _checked(options, arguments)
    limits = (("aa_pairs", 1, 50), ("ramp", 0, 1e5))
    for name, least, most in limits:
        value = getattr(arguments, name)
        if value is not None and not least <= value <= most:
            options.error(
                f"--{name.replace('_', '-')} must be from {least} to {most:g}, not {value}"
            )

    from study.cli.exit_codes import exiting
    from study.cli.say import say
    from study.confirmation.confirm import confirm
    from study.confirmation.live.options import ConfirmOptions
    from study.confirmation.subject import subject

    with exiting():
        confirmed = subject(
            arguments.promotion,
            spec_file=arguments.spec,
            experiment=arguments.experiment,
            claim=None if arguments.claim is None else Claim(arguments.claim),
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
            part=part,
            take=tuple(arguments.take),
            devices=arguments.devices,
        )
        raise SystemExit(confirm(confirmed, chosen, say))


def _checked(options: ArgumentParser, arguments: Namespace) -> Part:
    """Refuse words of 0.1, and options that say nothing together; return the part."""
    if arguments.ladder is not None:
        options.error("--ladder is a word of 0.1, and the ladder is gone; write --ramp S")
    if arguments.margin:
        options.error(f"--margin is a word of 0.1; {OF_MARGINS}")
    if arguments.claim in CLAIMS_OF_0_1:
        successor = CLAIMS_OF_0_1[arguments.claim]
        options.error(f"--claim {arguments.claim} is a claim of 0.1; write --claim {successor}")
    if arguments.claim not in (None, *Claim):
        options.error(f"--claim {arguments.claim!r} is not known; choose {', '.join(Claim)}")
    has_devices = arguments.devices is not None
    if arguments.take and (arguments.part or arguments.fresh or has_devices):
        options.error("--take launches nothing; leave --part, --fresh and --devices out")
    if arguments.part and has_devices:
        options.error("--devices shares the pairs out itself; leave --part out")
    if arguments.cluster is not None:
        options.error(
            "--cluster is for run_study.py: a confirmation measures on one machine, "
            "where --devices all takes every GPU"
        )
    try:
        return WHOLE if arguments.part is None else Part.read(arguments.part)
    except ValueError as error:
        options.error(f"--part: {error}")
