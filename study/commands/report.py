"""Write what a study measured and decided into one HTML file to send to a colleague.

    python scripts/report.py                     the study that ships, into report.html
    python scripts/report.py artifacts/cpu_allocation/study.db -o cpu.html
    python scripts/report.py --preset capacity   how the answer changes where capacity matters most
    python scripts/report.py --limits llm_ttft_p95_ms=1500 --limits stt_latency_p95_ms=800
                                                 and under other limits than the study's

The file needs no network, prints, and reads on a phone. Nothing is measured again.
Exit: 0 written, 2 where there is no such study or file.
"""

from __future__ import annotations

from pathlib import Path

from objectives.fitness import PRESETS
from study.cli.parser import add_storage, parser


def main() -> None:
    """Write the report of the study that the arguments name."""
    options = parser(__doc__)
    add_storage(options)
    add = options.add_argument
    add(
        "-o",
        "--out",
        type=Path,
        default=Path("report.html"),
        metavar="FILE",
        help="default report.html",
    )
    add("--study", metavar="NAME", help="default: the newest of the storage")
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
    from study.cli.limits import limits_in
    from study.report.html import write_report
    from study.report.summary import summary
    from study.storage.find import folder_of, promotions_of, storage_url, study_in

    with exiting():
        url = storage_url(arguments.storage)
        study = study_in(url, arguments.study)
        content = summary(
            study,
            arguments.preset,
            promotions_of(url, study),
            limits_ms=limits_in(arguments.limits) if arguments.limits else None,
            folder=folder_of(url, study),
        )
        write_report(content, arguments.out)
        print(
            f"{arguments.out}: study {content.study}, {len(content.configurations)} configurations"
        )
