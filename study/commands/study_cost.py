"""Show where a study's time went, what keeping servers saved, and whether sharing hurt.

    python scripts/study_cost.py                                  the study that ships
    python scripts/study_cost.py artifacts/cpu_allocation         every study in a folder's study.db
    python scripts/study_cost.py objectives/recordings/cpu.jsonl  a recording

Several may be named. With a study of `run_study.py --restart-per-trial` and of the same sampler
among them, the ratio restart per trial : servers kept : shortest possible is measured; without any
it is estimated from the study's own starts, and says so. The shortest possible starts each
distinct LLM command once and adds the windows and ramps.

It reads what is stored; nothing is measured.
Exit: 0 shown, 2 where there is no such study or recording.
"""

from __future__ import annotations

from study.cli.parser import add_sources, parser


def main() -> None:
    """Show the lines and a table of each study's cost."""
    options = parser(__doc__)
    add_sources(options)
    arguments = options.parse_args()

    from rich.table import Table

    from study.analysis.cost.interference import by_share
    from study.analysis.cost.kv_cache import unfilled_cache
    from study.analysis.cost.launches import read_costs
    from study.cli.console import console_of, print_line
    from study.cli.cost_lines import cost_lines, ratio_lines
    from study.cli.exit_codes import exiting
    from study.report.analysis_words import cache_warnings, share_table
    from study.storage.find import DEFAULT

    console = console_of()
    with exiting():
        sources = arguments.sources or [str(DEFAULT)]
        costs = [cost for source in sources for cost in read_costs(source)]
        for cost in costs:
            for line in cost_lines(cost):
                print_line(console, line)
            head, rows = share_table(by_share(cost.measurements))
            table = Table(*head, title="Does sharing hurt?", title_justify="left")
            for row in rows:
                table.add_row(*row)
            console.print(table)
            cache = unfilled_cache(cost.measurements, cost.workload, cost.llm)
            for line in (*cache_warnings(cache), ""):
                print_line(console, line)
        for line in ratio_lines(costs):
            print_line(console, line)
