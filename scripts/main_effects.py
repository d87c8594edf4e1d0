"""Which parameter matters, and how much, over a space: from what is stored.

    python scripts/main_effects.py                                   the wide recording that ships
    python scripts/main_effects.py artifacts/NAME --metric llm_latency_p95_ms
    python scripts/main_effects.py --versus vllm_memory_util=0.525   its other shares against this one, with intervals

Of the configurations that gave a measurement; those that failed are counted beside each value. Where several cards
measured, the card is one more parameter. A space of two parameters is seldom large enough; what is missing is said.

Nothing is measured. Exit: 0 shown, 2 where there is no such study or recording, 3 where statsmodels is missing.
"""

from __future__ import annotations

from functools import partial

from rich.markup import escape
from rich.table import Table

import study.cli.startup  # noqa: F401
from objectives.errors import SetupError
from study.analysis.launches import WIDE, read
from study.cli.console import console_of, visible
from study.cli.exit_codes import exiting
from study.cli.parser import parser
from study.report.effects_table import HEADS, influence, versus


def main() -> None:
    """Arguments -> main effects -> a table and lines each."""
    options = parser(__doc__)
    options.add_argument("sources", nargs="*", default=[str(WIDE)], metavar="SOURCE",
                         help="a folder with a study.db, the file, a storage URL, a recording (.jsonl)")  # fmt: skip
    options.add_argument(
        "--metric", action="append", choices=tuple(HEADS), help="a figure, as often as wanted"
    )
    options.add_argument(
        "--versus", metavar="NAME=VALUE", help="the other values of this parameter against this one"
    )
    given, console = options.parse_args(), console_of()
    with exiting():
        for cost in [cost for source in given.sources for cost in read(source)]:
            metrics = tuple(dict.fromkeys(given.metric or HEADS))
            shown = partial(versus, wanted=given.versus) if given.versus else influence
            told = shown(cost.launches, metrics)
            if told.lacks:
                raise SetupError(told.lacks)
            table = Table(title=f"{escape(cost.name)}: what each value gives", title_justify="left")
            for n, title in enumerate(told.head):
                table.add_column(title, no_wrap=not n)
            for row in told.rows:
                table.add_row(*(escape(visible(text)) for text in row))
            console.print(table if told.rows else f"{escape(cost.name)}: nothing can be told")
            for line in (*told.said, ""):
                console.print(visible(line), markup=False, soft_wrap=True)


if __name__ == "__main__":
    main()
