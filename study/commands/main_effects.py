"""Show which parameter matters, and how much, over a space: from what is stored.

    python scripts/main_effects.py                the wide recording that ships
    python scripts/main_effects.py artifacts/NAME --metric llm_latency_p95_ms
    python scripts/main_effects.py --versus vllm_memory_util=0.525
                                                  its other shares against this one, with intervals

Of the configurations that gave a measurement; those that failed are counted beside each value.
Where several cards measured, the card is one more parameter. A space of two parameters is seldom
large enough; what is missing is said.

Nothing is measured.
Exit: 0 shown, 2 where there is no such study or recording, 3 where statsmodels is missing.
"""

from __future__ import annotations

from study.cli.parser import add_sources, parser
from study.spec.choices import APIS, effect_figures


def main() -> None:
    """Show a table and its lines for each source."""
    options = parser(__doc__)
    add_sources(options)
    add = options.add_argument
    figures = effect_figures(APIS)
    add("--metric", action="append", choices=figures, help="a figure, as often as wanted")
    add(
        "--versus", metavar="NAME=VALUE", help="the other values of this parameter against this one"
    )
    arguments = options.parse_args()

    from rich.markup import escape
    from rich.table import Table

    from objectives.errors import SetupError
    from study.analysis.cost.launches import WIDE_RECORDING, read_costs
    from study.cli.console import console_of, print_line
    from study.cli.exit_codes import exiting
    from study.report.effects.contrast import versus
    from study.report.effects.table import influence
    from study.text import visible

    console = console_of()
    with exiting():
        sources = arguments.sources or [str(WIDE_RECORDING)]
        for cost in [cost for source in sources for cost in read_costs(source)]:
            metrics = tuple(dict.fromkeys(arguments.metric or effect_figures(cost.apis)))
            effects = (
                versus(cost.launches, metrics, arguments.versus)
                if arguments.versus
                else influence(cost.launches, metrics)
            )
            if effects.lacks:
                raise SetupError(effects.lacks)
            table = Table(title=f"{escape(cost.name)}: what each value gives", title_justify="left")
            for n, title in enumerate(effects.head):
                table.add_column(title, no_wrap=not n)
            for row in effects.rows:
                table.add_row(*(escape(visible(text)) for text in row))
            console.print(table if effects.rows else f"{escape(cost.name)}: nothing can be told")
            for line in (*effects.notes, ""):
                print_line(console, line)
