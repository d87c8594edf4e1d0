"""OpenAI's chat API: this module writes a request's body and reads its streamed answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from objectives.apis.api import parsed, quoted
from objectives.apis.completions import Stream, common_words, streamed
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Request

# what a model writes; some servers keep what it thinks before it answers apart
WRITTEN = ("content", "reasoning_content", "reasoning")


@dataclass(frozen=True, slots=True)
class Chat:
    """This API of language models streams answers of a fixed length to one message.

    A message is of words, about a token each, beside which the server's template has some of its
    own.

    Args:
        model: The name that the server knows its model by.
    """

    model: str
    path: ClassVar[str] = "/v1/chat/completions"
    content_type: ClassVar[str] = "application/json"
    is_fed_audio: ClassVar[bool] = False

    def body(self, request: Request, clips: Sequence[Clip]) -> bytes:  # noqa: ARG002
        """Return the body of a request."""
        return streamed(request, self.model, message(common_words(request)))

    def reading(self) -> Stream:
        """Return what reads one answer."""
        return Stream(_has_content)


def message(text: str) -> dict[str, Any]:
    """Return what a body says of the one message of a user."""
    return {"messages": [{"role": "user", "content": text}]}


def answered(body: bytes) -> str:
    """Return the text of an answer that came in one piece.

    Raises:
        ValueError: There is none.
    """
    answer = parsed(body)
    part = _part(answer, "message") if isinstance(answer, dict) else None
    texts = [] if part is None else [part[n] for n in WRITTEN if part.get(n) is not None]
    if not texts:
        raise ValueError(f"there is no answer in {quoted(answer)}")
    return "".join(texts)


def _has_content(event: Mapping[str, Any]) -> bool:
    """Return whether an event has something that the model wrote.

    One that only says whose turn it is to speak has not, whatever the server sends it for.

    Raises:
        ValueError: Its choices are not what the API promises.
    """
    part = _part(event, "delta")
    if part is None:
        return False
    return any(part.get(n) or (part.get(n) == "" and "role" not in part) for n in WRITTEN)


def _part(data: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """Return the part of the first choice that has what was written; None where there is none.

    Raises:
        ValueError: Its choices are not what the API promises.
    """
    choices = data.get("choices")
    if choices is None or choices == []:
        return None
    first = choices[0] if isinstance(choices, list) else choices
    part = first.get(name) if isinstance(first, dict) else first
    if part is None:
        return None
    if not isinstance(part, dict) or not all(
        part.get(n) is None or isinstance(part[n], str) for n in WRITTEN
    ):
        raise ValueError(f"choices without a text: {quoted(choices)}")
    return part
