"""A reply says what became of one request, and how it failed if it did. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from objectives.measurement import INFINITE


class Fault(StrEnum):
    """A fault says how a request failed."""

    STATUS = "status"  # another HTTP status than 200
    STREAM = "stream"  # the server reported an error inside its stream
    CONNECT = "connect"  # nobody listens
    PROTOCOL = "protocol"  # the peer hung up early, or sent what is not HTTP
    TIMEOUT = "timeout"
    MALFORMED = "malformed"  # an answer that is not what the API promises
    EMPTY = "empty"  # an answer without content


ENDS_A_WINDOW = (Fault.STREAM, Fault.CONNECT, Fault.PROTOCOL)


@dataclass(frozen=True, slots=True)
class RequestError:
    """A request error says why a request failed.

    Args:
        fault: The kind of failure.
        text: The same in words, for a person.
        status: The HTTP status, where that is the fault.
    """

    fault: Fault
    text: str
    status: int | None = None

    @property
    def is_fatal(self) -> bool:
        """Return whether the server is beyond serving: it answers 5xx, hangs up, or is dead."""
        is_broken = self.status is not None and self.status >= 500
        return is_broken or self.fault in ENDS_A_WINDOW

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Symptom:
    """A symptom ends a window: a request's error, or a server that has ended.

    Args:
        text: The symptom in words.
        service: The service whose request failed; None where a server ended.
        error: The error of that request; None where a server ended.
    """

    text: str
    service: str | None = None
    error: RequestError | None = None

    def __str__(self) -> str:
        return self.text if self.service is None else f"{self.service}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A reply is one request and what became of it.

    Times are in seconds on the monotonic clock, and None where their event never came.

    Args:
        service: The name of the service.
        scheduled_s: When the request should have left.
        sent_s: When it left.
        first_s: When its first content came.
        end_s: When its answer was complete.
        tokens: The number of output tokens by the server's own `usage`.
        audio_s: The length of the clip, seconds.
        clip: The number of the clip.
        text: The words that were recognised.
        turn: The number of its turn; None outside turns.
        error: Why it failed; None where it did not.
    """

    service: str
    scheduled_s: float
    sent_s: float
    first_s: float | None = None
    end_s: float | None = None
    tokens: int | None = None
    audio_s: float | None = None
    clip: int | None = None
    text: str | None = None
    turn: int | None = None
    error: RequestError | None = None

    @property
    def latency_ms(self) -> float:
        """Return the time from the scheduled send to the end; infinite for a failed request."""
        if self.error is not None or self.end_s is None:
            return INFINITE
        return (self.end_s - self.scheduled_s) * 1000.0

    @property
    def is_fatal(self) -> bool:
        """Return whether it ends its window at once: its server is beyond serving."""
        return self.error is not None and self.error.is_fatal

    @property
    def symptom(self) -> Symptom | None:
        """Return why it failed, with its service; None where it did not."""
        if self.error is None:
            return None
        return Symptom(self.error.text, self.service, self.error)

    def to_json(self) -> dict[str, Any]:
        """Return the reply as plain data, its error in words."""
        return {**asdict(self), "error": None if self.error is None else self.error.text}

    @property
    def ttft_ms(self) -> float:
        """Return the time from the scheduled send to the first content; infinite if it failed."""
        if self.error is not None or self.first_s is None:
            return INFINITE
        return (self.first_s - self.scheduled_s) * 1000.0
