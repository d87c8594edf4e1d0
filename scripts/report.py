"""Write what a study found into one HTML file to send to a colleague: no network, prints, reads on a phone.

    python scripts/report.py                                     the study that ships, into report.html
    python scripts/report.py artifacts/cpu_allocation/study.db -o cpu.html
    python scripts/report.py --preset capacity                   how the answer changes where sessions matter most

Nothing is measured again. Exit: 0 written, 2 where there is no such study or file.
"""

from __future__ import annotations

from pathlib import Path

import study.cli.startup  # noqa: F401
from objectives.fitness import PRESETS
from study.cli.exit_codes import exiting
from study.cli.parser import parser
from study.report.html import write
from study.report.summary import case
from study.storage.find import promotions_of, storage_url, study_in


def main() -> None:
    """Arguments -> a study that is there -> one file."""
    options = parser(__doc__)
    options.add_argument(
        "storage",
        nargs="?",
        metavar="STORAGE",
        help="a study.db or a URL; default: the study that ships",
    )
    options.add_argument(
        "-o",
        "--out",
        type=Path,
        default=Path("report.html"),
        metavar="FILE",
        help="default report.html",
    )
    options.add_argument("--study", metavar="NAME", help="default: the newest of the storage")
    options.add_argument(
        "--preset",
        choices=PRESETS,
        help="weigh the measurements anew; default: the study's weights",
    )
    given = options.parse_args()
    with exiting():
        url = storage_url(given.storage)
        told = case(study_in(url, given.study), given.preset, promotions_of(url))
        write(told, given.out)
        print(f"{given.out}: study {told.study}, {len(told.cells)} configurations")


if __name__ == "__main__":
    main()
