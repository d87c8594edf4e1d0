"""OpenAI's transcriptions API: this module writes the multipart body of a request. Pure."""

from __future__ import annotations

from objectives.traffic.clips import Clip

BOUNDARY = "c5d1f7a2e94b48c8"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


def transcription(clip: Clip) -> bytes:
    """Return the body of content type `FORM`: a clip's sound with the fields of OpenAI's form."""
    name = clip.name.translate({34: "%22", 13: "%0D", 10: "%0A"})
    fields = "".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
        for key, value in (("model", "whisper-1"), ("response_format", "json"))
    )
    fields += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
    return (
        f"{fields}Content-Type: audio/flac\r\n\r\n".encode()
        + clip.audio
        + f"\r\n--{BOUNDARY}--\r\n".encode()
    )
