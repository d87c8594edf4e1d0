"""OpenAI's transcriptions API: this module writes the multipart body of a request. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, ClassVar

from objectives.apis.api import Answer, WholeBody, parsed, quoted
from objectives.plain_data.spellable import spellable
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Request

BOUNDARY = "c5d1f7a2e94b48c8"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
MODEL = "whisper-1"  # its name in requests, as OpenAI calls it
MOST_BYTES = 2**19  # of an answer; an hour of speech has 60,000 characters
SOUNDS = {
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".wav": "audio/wav",
    ".webm": "audio/webm",
}


@dataclass(frozen=True, slots=True)
class Transcriptions:
    """This API of speech recognition takes a clip and answers its words.

    Args:
        language: The language of clips that name none, by its code; None leaves it to the server.
        model: The name that the server knows its model by.
    """

    language: str | None = None
    model: str = MODEL
    path: ClassVar[str] = "/v1/audio/transcriptions"
    content_type: ClassVar[str] = FORM
    is_fed_audio: ClassVar[bool] = True

    def body(self, request: Request, clips: Sequence[Clip]) -> bytes:
        """Return the body of a request."""
        return transcription(clips[request.clip], self.language, self.model)

    def reading(self) -> WholeBody:
        """Return what reads one answer."""
        return WholeBody(_words, MOST_BYTES)


def _words(body: bytes) -> Answer:
    text = transcript(body)
    return Answer(not text.strip(), text=text)


def transcript(body: bytes) -> str:
    """Return the words of an answer, as far as a file can spell them.

    Raises:
        ValueError: The body is no JSON object with a text.
    """
    answer = parsed(body)
    text = answer.get("text") if isinstance(answer, dict) else None
    if not isinstance(text, str):
        raise ValueError(f"there is no text in {quoted(answer)}")  # noqa: TRY004  one kind
    return spellable(text)


def form(clip: Clip, spoken: Transcriptions) -> dict[str, Any]:
    """Return what asks for the words of a clip, as httpx takes it."""
    language = {"language": spoken.language} if spoken.language else {}
    sound = (clip.name, clip.audio, content_type(clip.name))
    return {"files": {"file": sound}, "data": {"model": spoken.model, **language}}


def transcription(clip: Clip, language: str | None = None, model: str = MODEL) -> bytes:
    """Return the body of content type `FORM`: a clip's sound with the fields of OpenAI's form.

    Args:
        clip: The clip.
        language: Its language, where it names none itself.
        model: The name that the server knows its model by.
    """
    name = clip.name.translate({34: "%22", 13: "%0D", 10: "%0A"})
    values = {"model": model, "response_format": "json"}
    if (spoken := clip.language or language) is not None:
        values["language"] = spoken
    fields = "".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
        for key, value in values.items()
    )
    fields += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
    return (
        f"{fields}Content-Type: {content_type(clip.name)}\r\n\r\n".encode()
        + clip.audio
        + f"\r\n--{BOUNDARY}--\r\n".encode()
    )


def content_type(name: str) -> str:
    """Return the media type of a file of sound by its name.

    >>> content_type("01.FLAC"), content_type("01.aiff")
    ('audio/flac', 'application/octet-stream')
    """
    return SOUNDS.get(PurePath(name).suffix.lower(), "application/octet-stream")
