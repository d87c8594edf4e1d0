"""Write what a study measured and decided into one HTML file to send to a colleague.

    python scripts/report.py                     the study that ships, into report.html
    python scripts/report.py artifacts/cpu_allocation/study.db -o cpu.html
    python scripts/report.py --preset capacity   how the answer changes where capacity matters most
    python scripts/report.py --limits llm_ttft_p95_ms=1500 --limits stt_latency_p95_ms=800
                                                 and under other limits than the study's
    python scripts/report.py before/study.db after/study.db
                                                 two studies side by side; or two of one storage,
                                                 by --study NAME --study NAME

The file needs no network, prints, and reads on a phone. Nothing is measured again.
Exit: 0 written, 2 where there is no such study or file.
"""

from __future__ import annotations

from pathlib import Path

from objectives.fitness import PRESETS
from study.cli.parser import parser


def main() -> None:
    """Write the report of the study that the arguments name."""
    options = parser(__doc__)
    add = options.add_argument
    storage = "a study.db or a URL; several are set side by side; default: the study that ships"
    add("storages", nargs="*", metavar="STORAGE", help=storage)
    add(
        "-o",
        "--out",
        type=Path,
        default=Path("report.html"),
        metavar="FILE",
        help="default report.html",
    )
    add(
        "--study",
        action="append",
        metavar="NAME",
        help="default: the newest of the storage; may come again",
    )
    add(
        "--preset",
        choices=PRESETS,
        help="weigh the measurements anew; default: the study's weights",
    )
    add(
        "--limits",
        action="append",
        metavar="NAME=MS",
        help="judge goodput and capacity anew by the replies that were kept; may come again",
    )
    arguments = options.parse_args()

    from study.cli.exit_codes import exiting
    from study.cli.limit_options import limits_in
    from study.cli.say import note, say
    from study.report.html import html, write_page
    from study.report.studies.side_by_side import side_by_side
    from study.report.summary import Summary, summary
    from study.storage.find import folder_of, left_out, promotions_of, storage_url, study_in

    def read(storage: str | None, name: str | None) -> Summary:
        url = storage_url(storage)
        study = study_in(url, name)
        return summary(
            study,
            arguments.preset,
            promotions_of(url, study),
            limits_ms=limits_in(arguments.limits) if arguments.limits else None,
            folder=folder_of(url, study),
        )

    storages, studies = arguments.storages or [None], arguments.study or [None]
    if len(storages) > 1 and arguments.study:
        options.error("--study names one of a single STORAGE; of several the newest is taken")
    with exiting():
        first, *others = [read(storage, name) for storage in storages for name in studies]
        if not arguments.storages:
            note(left_out())
        if others:
            write_page(side_by_side([first, *others]), arguments.out)
            say(f"{arguments.out}: studies {', '.join(s.study for s in (first, *others))}")
        else:
            write_page(html(first), arguments.out)
            count = len(first.configurations)
            say(f"{arguments.out}: study {first.study}, {count} configurations")
