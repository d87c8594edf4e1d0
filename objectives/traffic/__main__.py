"""Check clips of speech, and say how much of a word error rate they can show.

    python -m objectives.traffic dictation
    python -m objectives.traffic FOLDER          one of your own, with a manifest.jsonl

Every line is checked and every file decoded; what is wrong is told with its line, and exit code 2.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from objectives.errors import BadInput
from objectives.speech.power import USUAL_DIFFERENCE, arm_points, spoken_words, words_needed
from objectives.traffic.clips import Clip, read_clips


def main(argv: Sequence[str] | None = None) -> int:
    """Print what clips hold and can show; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m objectives.traffic",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("clips", help="assistant, dictation, or a folder with a manifest.jsonl")
    source = parser.parse_args(argv).clips
    try:
        clips = read_clips(source)
    except BadInput as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"{source}: " + "\n".join(lines(clips)))
    return 0


def lines(clips: Sequence[Clip]) -> list[str]:
    """Say in three lines what clips hold and can show."""
    words = spoken_words([c.references for c in clips], [c.language for c in clips])
    minutes = sum(c.seconds for c in clips) / 60
    needed = words_needed(1.0)
    same, usual = arm_points(words, 0), arm_points(words)
    return [
        f"{len(clips)} clips, {words:,} words, {minutes:.1f} min",
        "the 95 % interval of a difference between two configurations: "
        f"+-{same:.2f} points where both hear the same, "
        f"+-{usual:.2f} where they differ in {100 * USUAL_DIFFERENCE:g} % of the words",
        f"to show that one is as good within 1 point takes {needed:,.0f} words, "
        f"{minutes * needed / words:.1f} min of such speech",
    ]


if __name__ == "__main__":
    sys.exit(main())
