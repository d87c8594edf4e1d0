"""Compare this project's load generator with vLLM's own on one stub server.

    python scripts/install_cpu_servers.py                 vLLM for the CPU, whose benchmark client
                                                          is compared
    python scripts/bench_load.py --repeats 1              three minutes
    python scripts/bench_load.py --out load.jsonl         five repeats, in turn; every run's figures
                                                          in a file

It shows CPU a token, and how late requests leave. Both replay the same arrivals against the same
server, which streams 64 tokens an answer, one every 100 ms. A request is late as the server saw it
arrive. `sleep` is a thread that only sleeps until each request's time: what the machine does to
anybody. Exit: 0 shown, 2 bad input, 3 where vLLM is not installed.
"""

from __future__ import annotations

from pathlib import Path

import study.cli.startup  # noqa: F401
from objectives.rig.load_bench import compare_generators, save, show, show_run
from study.cli.exit_codes import exiting
from study.cli.parser import parser

VLLM, TOKENIZER = Path(".servers/vllm/bin/python"), Path(".servers/models/llm")


def main() -> None:
    """Run both generators in turn and show one table."""
    options = parser(__doc__)
    add = options.add_argument
    add("--streams", type=int, nargs="+", default=[50, 200, 500], metavar="N", help="open at once")
    add("--repeats", type=int, default=5, metavar="N", help="of everything (default 5)")
    hold_help = "requests arrive for so long (default 8)"
    add("--hold", type=float, default=8.0, metavar="S", help=hold_help)
    add("--vllm", type=Path, default=VLLM, metavar="PYTHON")
    add("--ours-only", action="store_true", help="leave vLLM's out")
    add("--tokenizer", type=Path, default=TOKENIZER, metavar="FOLDER", help="any model's")
    add("--out", type=Path, metavar="FILE", help="every run's figures, a line each")
    arguments = options.parse_args()
    if min(arguments.repeats, *arguments.streams) < 1 or not 1 <= arguments.hold <= 600:
        options.error("--streams and --repeats must be at least 1, --hold from 1 to 600")
    with exiting():
        runs = compare_generators(
            arguments.streams,
            arguments.repeats,
            hold_s=arguments.hold,
            vllm=None if arguments.ours_only else arguments.vllm,
            tokenizer=arguments.tokenizer,
            tell=show_run,
        )
        if arguments.out is not None:
            save(runs, arguments.out)
        show(runs)


if __name__ == "__main__":
    main()
