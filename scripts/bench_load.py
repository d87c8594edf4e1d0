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

from rich.console import Console
from rich.table import Table

import study.cli.startup  # noqa: F401
from objectives.rig.generators import Sent
from objectives.rig.load_bench import compare, save, table
from study.cli.exit_codes import exiting
from study.cli.parser import parser

SERVERS = Path(".servers")


def main() -> None:
    """Run both generators in turn and show one table."""
    options = parser(__doc__)
    options.add_argument(
        "--streams", type=int, nargs="+", default=[50, 200, 500], metavar="N", help="open at once"
    )
    options.add_argument(
        "--repeats", type=int, default=5, metavar="N", help="of everything (default 5)"
    )
    options.add_argument(
        "--hold",
        type=float,
        default=8.0,
        metavar="S",
        help="requests arrive for so long (default 8)",
    )
    options.add_argument("--vllm", type=Path, default=SERVERS / "vllm/bin/python", metavar="PYTHON")
    options.add_argument("--ours-only", action="store_true", help="leave vLLM's out")
    options.add_argument(
        "--tokenizer",
        type=Path,
        default=SERVERS / "models/llm",
        metavar="FOLDER",
        help="any model's",
    )
    options.add_argument(
        "--out", type=Path, metavar="FILE", help="every run's figures, a line each"
    )
    arguments = options.parse_args()
    if min(arguments.repeats, *arguments.streams) < 1 or not 1 <= arguments.hold <= 600:
        options.error("--streams and --repeats must be at least 1, --hold from 1 to 600")
    console = Console(highlight=False)

    def tell(s: Sent) -> None:
        console.print(
            f"{s.streams:>4} streams, {s.generator}: {s.cpu_s:.2f} CPU s, {s.failed} failed"
        )

    with exiting():
        vllm = None if arguments.ours_only else arguments.vllm
        how = {"hold_s": arguments.hold, "vllm": vllm, "tokenizer": arguments.tokenizer}
        runs = compare(arguments.streams, arguments.repeats, **how, tell=tell)
        if arguments.out is not None:
            save(runs, arguments.out)
        head, *body = table(runs)
        printed = Table(*head, title="Medians over the repeats", title_justify="left")
        for row in body:
            printed.add_row(*row)
        console.print(printed)


if __name__ == "__main__":
    main()
