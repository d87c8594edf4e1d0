"""The bodies of requests: a completion for the LLM server, a transcription for the speech server. Pure."""

from __future__ import annotations

import json

from objectives.load.clips import Clip
from objectives.load.workload import Request, prompt

BOUNDARY = "c5d1f7a2e94b48c8"
FORM = f"multipart/form-data; boundary={BOUNDARY}"


def completion(request: Request, model: str, vocabulary: int | None) -> bytes:
    """A streamed completion of a fixed output length; words in place of token ids where there is no vocabulary."""
    tokens, seed = request.prompt_tokens, request.seed
    body = {
        "model": model,
        "prompt": prompt(tokens, seed, vocabulary) if vocabulary else _words(tokens, seed),
        "max_tokens": request.output_tokens,
        "temperature": 0,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    return json.dumps(body).encode()


def transcription(clip: Clip) -> bytes:
    """A clip's sound with the fields that OpenAI's form has, as `FORM`."""
    name = clip.name.translate({34: "%22", 13: "%0D", 10: "%0A"})
    fields = "".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
        for key, value in (("model", "whisper-1"), ("response_format", "json"))
    )
    fields += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
    return f"{fields}Content-Type: audio/flac\r\n\r\n".encode() + clip.audio + f"\r\n--{BOUNDARY}--\r\n".encode()


def _words(tokens: int, seed: int) -> str:
    """A prompt of common short words for servers that take no token ids: about one token a word."""
    words = ("red", "old", "sun", "map", "ice", "dog", "box", "pen", "cup", "hat")
    return " ".join(words[i % 10] for i in prompt(tokens, seed, 1000))
