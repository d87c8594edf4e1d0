"""Clips are speech with known words; they measure latency and word error rate."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from objectives.errors import BadInput


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip is one utterance.

    Args:
        name: The name of its file.
        audio: The encoded sound, as the file holds it.
        seconds: Its length in seconds.
        references: Every accepted transcript.
    """

    name: str
    audio: bytes
    seconds: float
    references: tuple[str, ...]


def read_clips(source: str) -> tuple[Clip, ...]:
    """Read the clips of `assistant` (shipped), or of a folder with a manifest.jsonl.

    Each of its lines holds file, text, refs (more accepted texts) and seconds.

    Raises:
        BadInput: The folder, its manifest or a clip is missing or malformed.
    """
    folder: Traversable = Path(source)
    if source == "assistant":
        folder = files("objectives") / "speech" / "assistant"
    manifest = folder / "manifest.jsonl"
    try:
        lines = [
            json.loads(line) for line in manifest.read_text("utf-8").splitlines() if line.strip()
        ]
        clips = tuple(
            Clip(
                name=str(line["file"]),
                audio=(folder / str(line["file"])).read_bytes(),
                seconds=float(line["seconds"]),
                references=tuple(line.get("refs") or (line["text"],)),
            )
            for line in lines
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise BadInput(
            f"workload.clips: cannot read {manifest} ({error}); "
            'each line needs {"file": ..., "text": ..., "seconds": ...}, '
            "or write `clips: assistant`"
        ) from error
    if not clips:
        raise BadInput(f"workload.clips: {manifest} lists no clip")
    return clips
