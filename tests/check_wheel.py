"""This program checks that a wheel carries what is not code.

python tests/check_wheel.py WHEEL        in a git checkout
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from fnmatch import fnmatch

NEEDED = (
    "study/specs/*.yaml",
    "study/templates/*.html",
    "objectives/recordings/*.jsonl",
    "objectives/recordings/models/*/config.json",
    "objectives/fit/cards.json",
    "objectives/diagnosis/patterns.yaml",
    "objectives/diagnosis/setup_errors.yaml",
    "objectives/speech/assistant/manifest.jsonl",
    "objectives/speech/assistant/*.flac",
    "objectives/speech/dictation/manifest.jsonl",
    "objectives/speech/dictation/*.mp3",
    "*/licenses/LICENSE",
    "*/entry_points.txt",
)


def check(wheel: str) -> list[str]:
    """Return a complaint about each file that is missing."""
    with zipfile.ZipFile(wheel) as archive:
        carried = set(archive.namelist())
    listed = subprocess.run(
        ["git", "ls-files", "objectives", "study"], capture_output=True, text=True, check=True
    )
    tracked = [name for name in listed.stdout.splitlines() if not fnmatch(name, "*.ipynb")]
    print(f"{wheel}: {len(carried)} files")
    missing = [f"{name} is tracked and not in the wheel" for name in tracked if name not in carried]
    return [
        *missing,
        *(
            f"nothing like {pattern}"
            for pattern in NEEDED
            if not any(fnmatch(n, pattern) for n in carried)
        ),
    ]


if __name__ == "__main__":
    sys.exit("\n".join(check(sys.argv[1])) or 0)
