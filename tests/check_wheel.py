"""This program checks that a wheel carries what is not code, and runs alone in an empty folder.

python tests/check_wheel.py WHEEL        in a git checkout
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from fnmatch import fnmatch
from pathlib import Path

NEEDED = (
    "study/specs/*.yaml",
    "study/specs/*.json",
    "study/guides/*.md",
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
LEFT_OUT = ("*.ipynb", "objectives/recordings/of_notes/*")


def check(wheel: str) -> list[str]:
    """Return a complaint about each file that is missing."""
    with zipfile.ZipFile(wheel) as archive:
        carried = set(archive.namelist())
    listed = subprocess.run(
        ["git", "ls-files", "objectives", "study"], capture_output=True, text=True, check=True
    )
    tracked = [
        name
        for name in listed.stdout.splitlines()
        if not any(fnmatch(name, pattern) for pattern in LEFT_OUT)
    ]
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


def run(wheel: str) -> list[str]:
    """Return a complaint where the wheel alone, with its dependencies, does not do the main job."""
    with tempfile.TemporaryDirectory() as folder:
        site, empty = Path(folder) / "site", Path(folder) / "empty"
        empty.mkdir()
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps"]
        subprocess.run([*pip, "--target", str(site), wheel], check=True)
        env = {**os.environ, "PYTHONPATH": str(site)}
        for verb in ("run", "report"):
            line = [sys.executable, "-m", "study", verb]
            ran = subprocess.run(
                line, cwd=empty, env=env, capture_output=True, text=True, check=False
            )
            if ran.returncode:
                return [f"`gpu-allocation {verb}` in an empty folder: {ran.stdout}{ran.stderr}"]
        specs = site / "study/specs/gpu.yaml"
        page = (empty / "report.html").is_file()
        return [] if page and specs.is_file() else ["no report, or no spec to copy"]


if __name__ == "__main__":
    sys.exit("\n".join([*check(sys.argv[1]), *run(sys.argv[1])]) or 0)
