"""Draw ten seconds of the live display, for the README, from the recording of a terminal.

    asciinema rec --cols 80 --rows 24 -c "python scripts/run_study.py my_gpu.yaml" live.cast
    python scripts/show_live.py live.cast --from 60 --until 260

Writes study/guides/live.svg, an animated picture. `asciinema` is a package of its own.
Exit: 0 done, 2 bad input.
"""

from __future__ import annotations

from pathlib import Path

import study.cli.startup  # noqa: F401
from objectives.errors import BadInput
from objectives.plain_data.atomic import write_atomic
from study.cli.exit_codes import exiting
from study.cli.parser import parser
from study.showcase.live_picture import animated, frames, read_cast

PICTURE = Path(__file__).resolve().parents[1] / "study/guides/live.svg"
LENGTH_S, COUNT = 10.0, 50  # of its pictures


def main() -> None:
    """Draw the recording."""
    options = parser(__doc__)
    add = options.add_argument
    add("cast", type=Path, metavar="CAST", help="an asciicast of version 2")
    add("--from", type=float, default=0.0, dest="from_s", metavar="S", help="its first second")
    add("--until", type=float, dest="until_s", metavar="S", help="its last second; default: all")
    add("-o", "--out", type=Path, default=PICTURE, metavar="FILE", help=f"default: {PICTURE.name}")
    arguments = options.parse_args()
    with exiting():
        cast = read_cast(arguments.cast)
        from_s, until_s = arguments.from_s, arguments.until_s or cast.length_s
        if not 0 <= from_s < until_s <= cast.length_s:
            raise BadInput(f"--from and --until: seconds from 0 to {cast.length_s:.0f}, in order")
        times = (until_s - from_s) / LENGTH_S
        title = f"The live display of a run, {times:.0f} times as fast"
        shown = frames(cast, COUNT, from_s, until_s)
        write_atomic(arguments.out, animated(shown, cast.columns, LENGTH_S, title))
        print(f"written: {arguments.out}, {title[0].lower()}{title[1:]}")


if __name__ == "__main__":
    main()
