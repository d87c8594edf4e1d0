"""An exchange is one request and its answer as they passed, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import urlsplit

from objectives.apis.paths import PATHS
from objectives.services import ApiName

API_BY_END: dict[str, ApiName] = {  # the end of a path, and the API that it is of
    PATHS["completions"]: "completions",
    PATHS["chat"]: "completions",
    PATHS["transcription"]: "transcription",
}
MOST_BYTES = 32 * 2**20  # of one body
MOST_BYTES_KEPT = 256 * 2**20  # of all bodies that are kept at one time
STREAM_ERROR = b'data: {"error"'  # a dying engine has answered 200 by then


class ExchangeEnding(Enum):
    """An ending is the way in which an exchange ended."""

    WHOLE = "whole"
    CLIENT_LEFT = "client left"
    SERVER_LEFT = "server left"
    NO_SERVER = "no server"
    UNREAD = "unread"


@dataclass(slots=True)
class BodyRoom:
    """The room for bodies is bounded, whatever the clients send.

    Args:
        free: The bytes that may still be kept.
    """

    free: int = MOST_BYTES_KEPT


@dataclass(slots=True)
class Body:
    """A body keeps the bytes that passed, or nothing where they are too many.

    Args:
        room: The room that all bodies share; None keeps nothing.
    """

    room: BodyRoom | None = None
    size: int = 0
    is_too_large: bool = False
    _parts: list[bytes] = field(default_factory=list)

    def add(self, data: bytes) -> None:
        """Keep the next piece."""
        if self.room is None or self.is_too_large:
            return
        if self.size + len(data) > MOST_BYTES or len(data) > self.room.free:
            self.drop()
            self.is_too_large = True
            return
        self.room.free -= len(data)
        self.size += len(data)
        self._parts.append(data)

    def bytes(self) -> bytes:
        """Return what was kept."""
        return b"".join(self._parts)

    def drop(self) -> None:
        """Give the room back."""
        if self.room is not None:
            self.room.free += self.size
        self._parts.clear()
        self.size = 0


@dataclass(slots=True, eq=False)
class Exchange:
    """An exchange is one request and its answer; times are those of the monotonic clock, seconds.

    Args:
        at_s: The time at which the first byte of the request came.
        room: The room for its bodies.
        method: The request's method.
        target: The request's target, as it was sent.
        headers: The request's headers.
        api: The API that it is of; None where it is of none that is captured.
        request: The body of the request.
        whole_s: The time at which the request had come whole; None before.
        status: The status of the answer; 0 before it.
        is_stream: Whether the answer is a stream of events.
        encoding: The answer's content encoding; empty for none.
        is_framed: Whether the answer tells where it ends.
        answer: The body of the answer.
        first_s: The time of the first byte of the answer's body; None before.
        has_error: Whether a stream of events told of an error.
        end_s: The time at which it ended; None before.
        ending: How it ended; None before.
    """

    at_s: float
    room: BodyRoom
    method: str = ""
    target: str = ""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    api: ApiName | None = None
    request: Body = field(default_factory=Body)
    whole_s: float | None = None
    status: int = 0
    is_stream: bool = False
    encoding: str = ""
    is_framed: bool = False
    answer: Body = field(default_factory=Body)
    first_s: float | None = None
    has_error: bool = False
    end_s: float | None = None
    ending: ExchangeEnding | None = None

    def begin(self, method: str, target: str) -> None:
        """Note the request's head; only those of an API that is captured are kept."""
        self.method, self.target = method, target
        self.api = api_of(target) if method == "POST" else None
        if self.api is not None:
            self.request, self.answer = Body(self.room), Body(self.room)

    def header(self, name: bytes) -> str:
        """Return the value of a request's header, by its name in small letters; empty for none."""
        return next((v.decode("latin-1") for n, v in self.headers if n.lower() == name), "")

    def answered(self, data: bytes, now_s: float) -> None:
        """Note a piece of the answer's body."""
        if self.first_s is None:
            self.first_s = now_s
        if self.is_stream and STREAM_ERROR in data:
            self.has_error = True
        self.answer.add(data)

    def end(self, ending: ExchangeEnding, now_s: float) -> None:
        """Note how and when it ended."""
        self.ending, self.end_s = ending, now_s

    @property
    def has_failed(self) -> bool:
        """Return whether it brought no answer that counts."""
        return self.ending is not ExchangeEnding.WHOLE or self.status >= 400 or self.has_error


def api_of(target: str) -> ApiName | None:
    """Return the API that a request's target is of; None for any other target.

    >>> api_of("/v1/chat/completions?beta=1"), api_of("/gate/v1/audio/transcriptions")
    ('completions', 'transcription')
    >>> api_of("/metrics") is None
    True
    """
    try:
        path = urlsplit(target).path
    except ValueError:
        return None
    return next((api for end, api in API_BY_END.items() if path.endswith(end)), None)
