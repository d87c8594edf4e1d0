"""OpenAI's completions API: this module writes a request's body and reads its streamed answer."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from objectives.apis.api import Answer, parsed, quoted
from objectives.traffic.clips import Clip
from objectives.traffic.prompts import prompt_of
from objectives.traffic.workload import Request

MOST_TOKENS = 10_000_000  # of one answer
MOST_BYTES = 64 * 2**20  # of one stream, which is not kept
LONGEST_LINE = 2**20  # bytes of one event, which is
DONE = b"[DONE]"
PARSED = (b'"completion_tokens"', b'"error"', DONE)  # lines that end, count or break an answer


class StreamError(Exception):
    """A server reported an error inside its stream: a dying engine still answers 200."""


class Stream:
    """A stream reads one streamed answer, and keeps when it began and how long it is.

    After its first content only the lines that end or count it are parsed.

    Args:
        has_content: It returns whether an event has content, and raises ValueError where that is
            not what the API promises; None is that of completions.

    Attributes:
        first_s: The time of the first content, on the monotonic clock; None before it.
        tokens: The number of output tokens, as the server counts them; None before its end.
    """

    __slots__ = ("_has_content", "_is_ended", "_last", "_rest", "_size", "first_s", "tokens")

    def __init__(self, has_content: Callable[[Mapping[str, Any]], bool] | None = None) -> None:
        self._has_content = has_content or _has_content
        self.first_s: float | None = None
        self.tokens: int | None = None
        self._rest = self._last = b""
        self._size = 0
        self._is_ended = False

    def feed(self, data: bytes) -> None:
        """Read the next piece of the body, cut anywhere.

        Raises:
            StreamError: The server reports an error.
            ValueError: An event is not what the API promises, its usage does not count the tokens,
                or there is no end of either.
        """
        self._size += len(data)
        if self._size > MOST_BYTES:
            raise ValueError(f"a stream of more than {MOST_BYTES:,} bytes")
        if self._rest:
            data = self._rest + data
        end = data.rfind(b"\n") + 1
        self._rest, data = data[end:], data[:end]
        if len(self._rest) > LONGEST_LINE:
            raise ValueError(f"an event of more than {LONGEST_LINE:,} bytes")
        if len(data) > len(b"\r\n"):
            self._last = data
        if self.first_s is not None and not any(word in data for word in PARSED):
            return
        for line in data.splitlines():
            self._read(line)

    def _read(self, line: bytes) -> None:
        if not line.startswith(b"data:") or line[5:].strip() in (b"", DONE):
            self._is_ended |= line[5:].strip() == DONE
            return
        part = parsed(line[5:])
        if not isinstance(part, dict):
            raise ValueError(f"an event is no object but {quoted(part)}")  # noqa: TRY004  one kind
        if part.get("error") is not None:
            raise StreamError(f"error in the stream: {quoted(part['error'])}")
        if self.first_s is None and self._has_content(part):
            self.first_s = time.monotonic()
        if part.get("usage") is not None:
            self.tokens = _counted(part["usage"])
        self._is_ended |= self.tokens is not None or _is_finished(part)

    def answer(self) -> Answer:
        """Return when the content began and how long it is.

        Raises:
            StreamError: The server reports an error.
            ValueError: The last event, without an end of its line, is not what the API promises,
                or it is not the end of an answer, by any of the ways to say so.
        """
        last = self._last
        self.feed(b"\n")
        for line in () if self._is_ended else (last + self._last).splitlines():
            self._read(line)
        if self.first_s is not None and not self._is_ended:
            raise ValueError("the stream ends in the middle of an answer")
        is_empty = self.first_s is None or self.tokens == 0
        return Answer(is_empty, self.first_s, self.tokens)


def _is_finished(part: Mapping[str, Any]) -> bool:
    """Return whether an event says why its answer ends there."""
    choices = part.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return isinstance(first, dict) and first.get("finish_reason") is not None


def completed(body: bytes) -> str:
    """Return the text of a completion that came in one piece.

    Raises:
        ValueError: There is none.
    """
    answer = parsed(body)
    if not isinstance(answer, dict) or not _has_content(answer):
        raise ValueError(f"there is no completion in {quoted(answer)}")
    text: str = answer["choices"][0]["text"]
    return text


def _has_content(part: Mapping[str, Any]) -> bool:
    """Return whether a completion, or an event of one, has a choice with a text.

    Raises:
        ValueError: Its choices are not what the API promises.
    """
    choices = part.get("choices")
    if choices is None or choices == []:
        return False
    first = choices[0] if isinstance(choices, list) else None
    text = first.get("text") if isinstance(first, dict) else choices
    if text is not None and not isinstance(text, str):
        raise ValueError(f"choices without a text: {quoted(choices)}")
    return text is not None


def _counted(usage: object) -> int:
    """Return the output tokens of a usage.

    Raises:
        ValueError: It does not count them, or counts what no answer has.
    """
    tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
    if type(tokens) is not int or not 0 <= tokens <= MOST_TOKENS:
        raise ValueError(f"completion_tokens is no count in the usage {quoted(usage)}")
    return tokens


@dataclass(frozen=True, slots=True)
class Completions:
    """This API of language models streams completions of a fixed length.

    Args:
        model: The name that the server knows its model by.
        vocabulary: The number of the model's token ids; None sends words in their place.
    """

    model: str
    vocabulary: int | None
    path: ClassVar[str] = "/v1/completions"
    content_type: ClassVar[str] = "application/json"
    is_fed_audio: ClassVar[bool] = False

    def body(self, request: Request, clips: Sequence[Clip]) -> bytes:  # noqa: ARG002
        """Return the body of a request."""
        return completion(request, self.model, self.vocabulary)

    def reading(self) -> Stream:
        """Return what reads one answer."""
        return Stream()


def completion(request: Request, model: str, vocabulary: int | None) -> bytes:
    """Return the body that requests a streamed completion of a fixed length.

    Args:
        request: The lengths of the prompt and of the answer.
        model: The name that the server knows its model by.
        vocabulary: The number of the model's token ids; None sends words in their place.
    """
    prompt = prompt_of(request, vocabulary) if vocabulary else common_words(request)
    return streamed(request, model, {"prompt": prompt})


def streamed(request: Request, model: str, question: Mapping[str, Any]) -> bytes:
    """Return the body that requests a streamed answer of a fixed length to a question."""
    length = {"max_tokens": request.output_tokens, "temperature": 0, "ignore_eos": True}
    stream = {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps({"model": model, **question, **length, **stream}).encode()


def common_words(request: Request) -> str:
    """Return a prompt of common short words, about a token each, for servers without token ids."""
    words = ("red", "old", "sun", "map", "ice", "dog", "box", "pen", "cup", "hat")
    return " ".join(words[i % 10] for i in prompt_of(request, 1000))
