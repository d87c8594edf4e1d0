"""Clips are speech with known words; they measure latency and word error rate."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from objectives.errors import BadInput
from objectives.speech.audio import seconds_of
from objectives.speech.normaliser import normalised

SHIPPED = ("assistant", "dictation")
EXAMPLE = '{"file": "01.flac", "text": "Turn off the lights."}'
MOST_S = 86_400.0  # of a clip
TOLERANCE_S = 0.1  # an encoder may pad the sound by some frames


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip is one utterance.

    Args:
        name: The name of its file.
        audio: The encoded sound, as the file holds it.
        seconds: Its length in seconds.
        references: Every accepted transcript.
        language: The code of its language, which requests then name; None is English, and
            requests name none.
    """

    name: str
    audio: bytes
    seconds: float
    references: tuple[str, ...]
    language: str | None = None


def read_clips(source: str) -> tuple[Clip, ...]:
    """Read the clips of one that ships (`SHIPPED`), or of a folder with a manifest.jsonl.

    Each of its lines holds file and text, and may hold refs (more accepted texts), language and
    seconds. What does not ship is checked: every file is decoded.

    Raises:
        BadInput: The folder, its manifest or a clip is missing or malformed; the error has file
            and line.
    """
    is_own = source not in SHIPPED
    folder: Traversable = Path(source) if is_own else files("objectives") / "speech" / source
    manifest = folder / "manifest.jsonl"
    ways = f"name a folder with a manifest.jsonl, or write {' or '.join(SHIPPED)}"
    try:
        text = manifest.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{manifest}: it is not UTF-8 ({error.reason}); save it as UTF-8") from error
    except (OSError, ValueError) as error:  # also a name that no file can have
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadInput(f"{manifest}: it cannot be read ({reason}); {ways}") from error
    clips: dict[str, Clip] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            clip = _clip(line, folder, is_own=is_own)
        except ValueError as error:
            raise BadInput(f"{manifest}:{number}: {error}") from error
        if clip.name in clips:
            raise BadInput(
                f"{manifest}:{number}: {clip.name!r} is in an earlier line already; name a file "
                "once, with its other accepted texts in `refs`"
            )
        clips[clip.name] = clip
    if not clips:
        raise BadInput(f"{manifest}: it lists no clip; write a line for each, such as {EXAMPLE}")
    return tuple(clips.values())


def digest(clips: Sequence[Clip]) -> str:
    """Return the SHA-256 of what is heard and what counts as right."""
    parts = [
        [c.name, hashlib.sha256(c.audio).hexdigest(), list(c.references), c.language] for c in clips
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _clip(text: str, folder: Traversable, *, is_own: bool) -> Clip:
    """Return one line as a clip; a ValueError says what is wrong with it, and the way out."""
    line = _object(text)
    name, references = _text(line, "file"), [_text(line, "text"), *_refs(line)]
    language, seconds = _language(line), _seconds(line)
    try:
        audio = (folder / name).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ValueError(
            f"{name!r} cannot be read in {folder} ({reason}); mend the name or remove the line"
        ) from error
    if is_own:
        for reference in references:
            if not normalised(reference, language):
                raise ValueError(
                    f"{_short(reference)} holds no word once it is normalised; "
                    "write what is said, or remove it"
                )
        actual_s = seconds_of(audio, name)
        if seconds is not None and abs(seconds - actual_s) > TOLERANCE_S:
            raise ValueError(
                f"seconds is {seconds:g}, and {name!r} is {actual_s:.2f} s long; "
                "write that, or leave it out"
            )
        seconds = actual_s
    if seconds is None:
        raise ValueError("seconds is missing")
    return Clip(name, audio, seconds, tuple(dict.fromkeys(references)), language)


def _object(text: str) -> dict[str, object]:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is not JSON ({error}); a line is such as {EXAMPLE}") from error
    if not isinstance(line, dict):
        raise ValueError(f"it is no JSON object; a line is such as {EXAMPLE}")  # noqa: TRY004
    return line


def _text(line: dict[str, object], key: str) -> str:
    value = line.get(key)
    if not isinstance(value, str) or not value.strip():
        what = f"{key} is {_short(value)}, no text" if key in line else f"{key} is missing"
        raise ValueError(f"{what}; a line is such as {EXAMPLE}")
    return value


def _refs(line: dict[str, object]) -> list[str]:
    refs = line.get("refs") or []
    if not isinstance(refs, list) or not all(isinstance(r, str) and r.strip() for r in refs):
        raise ValueError(f"refs is {_short(refs)}; write a list of accepted texts")
    return refs


def _language(line: dict[str, object]) -> str | None:
    language = line.get("language")
    if language is None or (isinstance(language, str) and re.fullmatch("[a-z]{2,3}", language)):
        return language
    raise ValueError(f"language is {_short(language)}; write its code, such as en or de")


def _seconds(line: dict[str, object]) -> float | None:
    seconds = line.get("seconds")
    if seconds is None:
        return None
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds <= MOST_S:
        return float(seconds)
    raise ValueError(f"seconds is {_short(seconds)}; write its length, or leave it out")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
