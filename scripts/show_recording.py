"""Write what the pages show of the study that ships: picture, tables, the sentences around them.

    python scripts/show_recording.py             after another recording ships, or the words of a
                                                 report change
    python scripts/show_recording.py --check     says which page is out of date; writes nothing

Replays the default study; writes study/guides/recording.svg and what stands between the marks of
README.md, study/guides/recording.md and study/guides/notes/h100.md.
Exit: 0 done, 2 a page is out of date (--check) or has no marks.
"""

from __future__ import annotations

from pathlib import Path

import study.cli.startup  # noqa: F401
from objectives.errors import BadInput
from study.cli.exit_codes import exiting
from study.cli.parser import parser
from study.showcase.readme_tables import rendered, replayed, stale, write_pages

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Replay the study, and write or check the pages."""
    options = parser(__doc__)
    options.add_argument("--check", action="store_true", help="only say what is out of date")
    arguments = options.parse_args()
    with exiting():
        pages = rendered(replayed(), ROOT)
        old = [str(path) for path in stale(pages, ROOT)]
        if arguments.check and old:
            raise BadInput(f"out of date: {', '.join(old)}; run python scripts/show_recording.py")
        write_pages({} if arguments.check else pages, ROOT)
        print(f"written: {', '.join(old)}" if old else "every page is current")


if __name__ == "__main__":
    main()
