"""Say which cells of a spec's space would start, by the models' files; nothing is launched.

    python scripts/fit.py                                   the study that ships
    python scripts/fit.py my_gpu.yaml                       on this machine's device
    python scripts/fit.py my_gpu.yaml --card "RTX 3060"     on a laptop without one
    python scripts/fit.py my_gpu.yaml --total-mib 12036     the same, for a card that is not known
    python scripts/fit.py --against FILE.jsonl              held against the starts of a recording

It reads config.json and the headers of the weight files, as they lie in the folder or in the hub's
cache, and says of each share whether vLLM starts, how many tokens its KV cache holds, the longest
request, and how many of the workload's longest fit at once. The rule, and how it agrees with every
start that was measured: study/guides/fit.md.
Exit: 0 said, 2 bad input, 3 set-up: there is no device, or a model's files are missing or broken.
"""

from __future__ import annotations

import json
from pathlib import Path

from study.cli.parser import add_device, check_total_mib, parser


def main() -> None:
    """Say what fits."""
    options = parser(__doc__)
    add = options.add_argument
    add("spec", type=Path, nargs="?", metavar="SPEC", help="default: the study that ships")
    add("--experiment", metavar="NAME", help="the entry of an `experiments:` list")
    add_device(options)
    add(
        "--against",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="hold the files against the starts of recordings, in place of a spec",
    )
    add("--json", action="store_true", help="the answer as one JSON object")
    arguments = options.parse_args()
    check_total_mib(options, arguments.total_mib)
    if arguments.against and (arguments.spec or arguments.card or arguments.total_mib):
        options.error("--against takes device and models from the recordings; name nothing else")

    from objectives.recording import read
    from study.cli.before_run.fit_table import WIDTH, agreement_table, table
    from study.cli.before_run.fit_text import as_json, cannot_start, ending, heading
    from study.cli.console import console_of
    from study.cli.exit_codes import exiting
    from study.fit.agreement import agreement
    from study.fit.fit import fit
    from study.spec.load import load

    console = console_of()
    if not console.is_terminal:
        console.width = WIDTH
    with exiting():
        if arguments.against:
            agreements = [agreement(read(file)) for file in arguments.against]
            console.print(agreement_table(agreements))
            for line in cannot_start(agreements):
                console.print(line, markup=False)
            return
        spec = load(arguments.spec, arguments.experiment, is_here=False)
        answer = fit(spec, card_name=arguments.card, total_mib=arguments.total_mib)
        if arguments.json:
            print(json.dumps(as_json(answer), indent=1))
            return
        for line in heading(answer):
            console.print(line, markup=False)
        console.print(table(answer.cells, console.width))
        for line in ending(answer):
            console.print(line, markup=False)
