"""Which parameter matters, and how much, over a space: from what is stored.

    python scripts/main_effects.py objectives/recordings/h100_wide.jsonl
    python scripts/main_effects.py artifacts/NAME --metric llm_latency_p95_ms

For each value of each parameter the figure to expect with it, all other parameters' values weighing the same, with a
95 % interval; for each parameter the probability of so large an effect where it has none (Holm's correction). From the
configurations that gave a measurement; those that failed are counted and left out. Where a recording was made on
several cards, the card is one more parameter.

Nothing is measured. Exit: 0 shown, 2 where there is no such study or recording.
"""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

import study.early  # noqa: F401
from study.arguments import parser
from study.influence import SHOWN, head, rows, said
from study.launched import read
from study.meanings import FIGURES
from study.stored import DEFAULT
from study.terminal import exiting


def main() -> None:
    """Arguments -> main effects -> a table and lines each."""
    options = parser(__doc__)
    options.add_argument("sources", nargs="*", default=[str(DEFAULT)], metavar="SOURCE",
                         help="a folder with a study.db, the file, a storage URL, a recording (.jsonl)")  # fmt: skip
    options.add_argument("--metric", action="append", choices=sorted(FIGURES), metavar="NAME",
                         help=f"a figure, as often as wanted, of: {', '.join(sorted(FIGURES))}")  # fmt: skip
    given = options.parse_args()
    metrics = tuple(given.metric or SHOWN)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 160
    with exiting():
        for cost in [cost for source in given.sources for cost in read(source)]:
            table = Table(title=f"{cost.name}: what each value gives", title_justify="left")
            for n, title in enumerate(head(metrics)):
                table.add_column(title, no_wrap=not n)
            for row in rows(cost.launches, metrics):
                table.add_row(*row)
            if table.row_count:
                console.print(table)
            for line in (*said(cost.launches, metrics), ""):
                console.print(line, markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
