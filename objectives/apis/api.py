"""An API is how a service is spoken to; this module says what the load generator needs of one."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from objectives.plain_data.spellable import spellable
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Request


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer is what a whole reply of a server said.

    Args:
        is_empty: Whether it has no content.
        first_s: The time of the first content, on the monotonic clock; None where an answer comes
            in one piece.
        tokens: The number of output tokens, as the server counts them; None where it does not.
        text: The words; None where they are not kept.
    """

    is_empty: bool
    first_s: float | None = None
    tokens: int | None = None
    text: str | None = None


def parsed(body: bytes) -> Any:
    r"""Return what JSON says that a server sent, with no text in it that no file could spell.

    >>> parsed(b'{"version": "0.26\\u001b[2J\\ud800"}')
    {'version': '0.26 [2J?'}

    Raises:
        ValueError: It is not JSON, or nests too deep.
    """
    try:
        data = json.loads(body)
        return data if b"\\" not in body and body.isascii() else _all_spellable(data)
    except RecursionError:
        raise ValueError("its JSON nests too deep") from None


def _all_spellable(data: Any) -> Any:
    if isinstance(data, str):
        return spellable(data)
    if isinstance(data, dict):
        return {spellable(name): _all_spellable(value) for name, value in data.items()}
    return [_all_spellable(value) for value in data] if isinstance(data, list) else data


def quoted(value: object) -> str:
    """Return the beginning of what a server said, to be told with what is wrong of it."""
    try:
        return str(value)[:100]
    except RecursionError:
        return "what nests too deep"


class Reading(Protocol):
    """A reading takes the body of one reply piece by piece."""

    def feed(self, data: bytes) -> None:
        """Take the next piece.

        Raises:
            ValueError: It is not what the API promises, or longer than any answer is.
        """

    def answer(self) -> Answer:
        """Return what the whole body said.

        Raises:
            ValueError: It is not what the API promises.
        """


class WholeBody:
    """This reading keeps the body of an answer that comes in one piece.

    Args:
        read: It returns what a body says, and raises ValueError where that is not what the API
            promises.
        most_bytes: The longest body.
    """

    __slots__ = ("_most_bytes", "_parts", "_read", "_size")

    def __init__(self, read: Callable[[bytes], Answer], most_bytes: int) -> None:
        self._read, self._most_bytes, self._size = read, most_bytes, 0
        self._parts: list[bytes] = []

    def feed(self, data: bytes) -> None:
        """Take the next piece.

        Raises:
            ValueError: It is longer than any answer.
        """
        self._size += len(data)
        if self._size > self._most_bytes:
            raise ValueError(f"an answer of more than {self._most_bytes:,} bytes")
        self._parts.append(data)

    def answer(self) -> Answer:
        """Return what the whole body says.

        Raises:
            ValueError: It is not what the API promises.
        """
        return self._read(b"".join(self._parts))


class Api(Protocol):
    """An API writes requests and reads answers.

    Attributes:
        path: The path that requests go to.
        content_type: The type of a request's body.
        is_fed_audio: Whether requests are clips, and answers their words.
    """

    @property
    def path(self) -> str: ...

    @property
    def content_type(self) -> str: ...

    @property
    def is_fed_audio(self) -> bool: ...

    def body(self, request: Request, clips: Sequence[Clip]) -> bytes:
        """Return the body of a request."""

    def reading(self) -> Reading:
        """Return what reads one answer."""


Usage = Callable[[str], tuple[float | None, int | None]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint is where a server listens, and how it is spoken to.

    Args:
        url: Its scheme, host and port.
        api: How requests are written and answers read.
        metrics_path: Its Prometheus page; None where it has none that tells of a KV cache.
        usage: It reads the usage of the KV cache in percent, and the preemptions so far, from that
            page.
    """

    url: str
    api: Api
    metrics_path: str | None = None
    usage: Usage = lambda _: (None, None)
