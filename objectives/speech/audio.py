"""This module measures how long encoded speech is, by decoding it as the speech server does."""

from __future__ import annotations

import io


def seconds_of(audio: bytes, name: str) -> float:
    """Return the length of encoded sound in seconds.

    Args:
        audio: What the file holds.
        name: The name of the file, for an error.

    Raises:
        ValueError: It cannot be decoded, or holds no sound.
    """
    import av  # noqa: PLC0415  a fifth of a second, for which no --help waits
    from av.error import FFmpegError  # noqa: PLC0415

    try:
        with av.open(io.BytesIO(audio), "r") as container:
            samples = [(f.samples, f.sample_rate) for f in container.decode(audio=0)]
    except (FFmpegError, IndexError, ValueError) as error:  # IndexError: no sound track
        raise ValueError(
            f"{name!r} cannot be decoded as sound ({error}); save it as FLAC, WAV, Ogg or MP3"
        ) from error
    seconds = round(sum(count / rate for count, rate in samples), 3)
    if not seconds:
        raise ValueError(f"{name!r} holds no sound (0 s); record it again, or remove the line")
    return seconds
