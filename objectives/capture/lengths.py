"""Lengths are all that a capture keeps of a request and its answer: tokens, or seconds of sound.

What a server counted is taken from its answer. Where it told no count, the answer's tokens are the
pieces in which it came, and the prompt's those that the server's own /tokenize counts. What neither
tells is not counted.
"""

from __future__ import annotations

import io
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from enum import Enum
from typing import Any

from objectives.traffic.public_traces.fields import MOST_TOKENS

FILE = re.compile(rb"(?i)content-disposition:[^\r\n]*[;\s]name=\"?file\"?(?=[;\s]|$)")
LEAST_S = 0.001
MOST_S = 86_400.0  # what a trace takes
MOST_INFLATED = 64 * 2**20
TOKENIZE_KEYS = (  # of a chat request, what decides the length of its prompt
    "model",
    "messages",
    "tools",
    "add_generation_prompt",
    "continue_final_message",
    "chat_template",
    "chat_template_kwargs",
)


class Missing(Enum):
    """This is the reason why an arrival has no line in the trace."""

    REFUSED = "refused"
    FAILED = "failed"
    LEFT = "left"
    TOO_LARGE = "too large"
    UNREADABLE = "unreadable"
    UNCOUNTED = "uncounted"
    SEVERAL = "several"
    UNREAD = "unread"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Lengths:
    """These are the lengths of one request and its answer.

    Args:
        prompt_tokens: The length of the prompt, tokens.
        output_tokens: The length of the answer, tokens.
        seconds: The length of the sound, seconds.
        in_pieces: Whether the answer's tokens are the pieces in which it came.
        by_tokenize: Whether the prompt's tokens were asked of the server afterwards.
        missing: Why there is none.
    """

    prompt_tokens: int | None = None
    output_tokens: int | None = None
    seconds: float | None = None
    in_pieces: bool = False
    by_tokenize: bool = False
    missing: Missing | None = None


def text_lengths(
    request: bytes,
    answer: bytes,
    *,
    is_stream: bool,
    encoding: str = "",
    tokenize: Callable[[Mapping[str, Any]], int | None],
) -> Lengths:
    """Return the lengths of a completion, or of a chat's.

    Args:
        request: The body of the request.
        answer: What came of the answer's body; a stream may be cut.
        is_stream: Whether the answer is a stream of events.
        encoding: The answer's content encoding.
        tokenize: It asks the server how many tokens a prompt has.
    """
    try:
        fields, body = json.loads(request), plain(answer, encoding)
        is_stream = is_stream or body.startswith(b"data:")  # not every server names the type
        parts = list(events(body)) if is_stream else [json.loads(body)]
    except (ValueError, RecursionError, zlib.error):
        return Lengths(missing=Missing.UNREADABLE)
    if not isinstance(fields, dict) or not all(isinstance(part, dict) for part in parts):
        return Lengths(missing=Missing.UNREADABLE)
    if _is_several(fields):
        return Lengths(missing=Missing.SEVERAL)
    usage: Mapping[str, Any] = next(
        (part["usage"] for part in reversed(parts) if isinstance(part.get("usage"), dict)), {}
    )
    prompt_tokens, output_tokens = (
        _count(usage.get(f"{k}_tokens")) for k in ("prompt", "completion")
    )
    in_pieces = output_tokens is None and is_stream
    if in_pieces:
        output_tokens = _count(sum(map(_has_content, parts)))
    by_tokenize = prompt_tokens is None and output_tokens is not None
    if by_tokenize:
        prompt_tokens = _count(prompt_length(fields, tokenize))
    if prompt_tokens is None or output_tokens is None:
        return Lengths(missing=Missing.UNCOUNTED)
    return Lengths(prompt_tokens, output_tokens, in_pieces=in_pieces, by_tokenize=by_tokenize)


def prompt_length(
    fields: Mapping[str, Any], tokenize: Callable[[Mapping[str, Any]], int | None]
) -> int | None:
    """Return the tokens of a request's prompt: those it lists, or those that the server counts."""
    if "messages" in fields:
        return tokenize({k: fields[k] for k in TOKENIZE_KEYS if k in fields})
    prompt = fields.get("prompt")
    if isinstance(prompt, list):  # of one prompt, see `_is_several`
        if all(type(token) is int for token in prompt):
            return len(prompt)
        (prompt,) = prompt
    if isinstance(prompt, list):
        return len(prompt)
    return tokenize({k: v for k, v in (("model", fields.get("model")), ("prompt", prompt)) if v})


def sound_lengths(request: bytes, content_type: str) -> Lengths:
    """Return the seconds of the sound in a transcription's form.

    The sound is taken apart into its packets, and not decoded.
    """
    import av  # noqa: PLC0415  a reader of texts alone needs no FFmpeg

    try:
        with av.open(io.BytesIO(sound(request, content_type)), "r") as container:
            stream = container.streams.audio[0]
            ends = [
                (packet.pts + (packet.duration or 0), packet.pts)
                for packet in container.demux(stream)
                if packet.pts is not None
            ]
            base = stream.time_base
    except (av.FFmpegError, ValueError, IndexError, MemoryError):
        return Lengths(missing=Missing.UNREADABLE)
    if not ends or base is None:
        return Lengths(missing=Missing.UNREADABLE)
    seconds = float((max(end for end, _ in ends) - min(begin for _, begin in ends)) * base)
    is_sound = LEAST_S <= seconds <= MOST_S
    return Lengths(seconds=seconds) if is_sound else Lengths(missing=Missing.UNREADABLE)


def sound(body: bytes, content_type: str) -> bytes:
    """Return the file of a multipart form.

    Raises:
        ValueError: It has none.
    """
    head = Message()
    head["Content-Type"] = content_type
    boundary = head.get_boundary()
    if not boundary:
        raise ValueError("no boundary")
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin-1"))[1:-1]:
        names, blank_line, content = part.partition(b"\r\n\r\n")
        if blank_line and FILE.search(names):
            return content
    raise ValueError("no file")


def events(stream: bytes) -> Iterator[Any]:
    """Yield the events of a stream; the last one of a stream that was cut is left out.

    Raises:
        ValueError: One is not JSON.
    """
    lines = stream.splitlines(keepends=True)
    for line in lines:
        data = line[5:].strip()
        if line.startswith(b"data:") and data != b"[DONE]" and line.endswith((b"\n", b"\r")):
            yield json.loads(data)


def plain(data: bytes, encoding: str) -> bytes:
    """Return a body without its content encoding; one that was cut as far as it goes.

    Raises:
        ValueError: The encoding is not known.
        zlib.error: It is not so encoded.
    """
    match encoding:
        case "" | "identity":
            return data
        case "gzip" | "x-gzip" | "deflate":
            return zlib.decompressobj(32 + zlib.MAX_WBITS).decompress(data, MOST_INFLATED)
    raise ValueError(encoding)


def _is_several(fields: Mapping[str, Any]) -> bool:
    """Return whether a request has several prompts or answers, whose lengths are told as one."""
    prompt = fields.get("prompt")
    is_batch = isinstance(prompt, list) and len(prompt) != 1 and not _is_one(prompt)
    return is_batch or any(fields.get(key) not in (None, 1, 0) for key in ("n", "best_of"))


def _is_one(prompt: list[Any]) -> bool:
    """Return whether a list is one prompt: the ids of its tokens."""
    return bool(prompt) and all(type(token) is int for token in prompt)


def _has_content(event: Mapping[str, Any]) -> bool:
    """Return whether an event of a stream carries a piece of the answer."""
    choices = event.get("choices")
    if not isinstance(choices, list):
        return False
    for choice in choices:
        if not isinstance(choice, dict):
            continue
        delta = choice.get("delta")
        fields = delta if isinstance(delta, dict) else {"text": choice.get("text")}
        if any(value for key, value in fields.items() if key != "role"):
            return True
    return False


def _count(value: object) -> int | None:
    """Return a number of tokens; None for what is none, or more than a trace may have."""
    return value if type(value) is int and 0 < value <= MOST_TOKENS else None
