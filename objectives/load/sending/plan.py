"""A plan says what is to be sent and when; it crosses to the sending process as plain data."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from objectives.apis.api import Api, Endpoint
from objectives.apis.chat import Chat
from objectives.apis.completions import Completions
from objectives.apis.texts import Embeddings, Rerank, Speech
from objectives.apis.transcription import Transcriptions
from objectives.load.replies import Reply
from objectives.plain_data.by_type import from_plain
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Prefix, Request

Endpoints = Mapping[str, Endpoint]  # by service, in the order in which a voice turn passes them


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan holds turns in the order of their times, and where they go.

    Args:
        endpoints: Where the servers listen.
        turns: The requests of each turn. The first leaves at its time, seconds from the start, and
            each other one once the one before has been answered; a request that fails ends its
            turn. A request outside turns is a turn of one.
        timeout_s: The time that an answer may take, seconds.
        is_whole: Whether these are all. Their bodies are made before the start, and those of turns
            that follow a moment before they are due.
    """

    endpoints: Endpoints
    turns: Sequence[Sequence[Request]]
    timeout_s: float
    is_whole: bool = True

    @property
    def longest_s(self) -> float:
        """Return the time from its start within which every answer has come or failed, seconds."""
        return max((t[0].at_s + len(t) * self.timeout_s for t in self.turns), default=0.0)

    def to_json(self) -> dict[str, Any]:
        """Return it as plain data, without what only reads a server's own figures."""
        return {
            "endpoints": {
                s: {"url": e.url, "api": _plain(e.api)} for s, e in self.endpoints.items()
            },
            "turns": plain_turns(self.turns),
            "timeout_s": self.timeout_s,
            "is_whole": self.is_whole,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """Return the plan of this data."""
        return cls(
            {s: Endpoint(e["url"], _api(e["api"])) for s, e in data["endpoints"].items()},
            turns_of(data["turns"]),
            data["timeout_s"],
            data["is_whole"],
        )


def plain_turns(turns: Iterable[Sequence[Request]]) -> list[list[dict[str, Any]]]:
    """Return turns as plain data, without what their requests lack."""
    return [
        [{k: v for k, v in asdict(request).items() if v is not None} for request in turn]
        for turn in turns
    ]


def turns_of(data: Iterable[Iterable[Mapping[str, Any]]]) -> list[list[Request]]:
    """Return the turns of this data."""
    return [[_request(fields) for fields in turn] for turn in data]


def _request(data: Mapping[str, Any]) -> Request:
    prefix = data.get("prefix")
    return Request(**{**data, "prefix": None if prefix is None else from_plain(Prefix, prefix)})


def _plain(api: Api) -> dict[str, Any]:
    match api:
        case Completions():
            return {"name": "completions", **asdict(api)}
        case Transcriptions():
            return {"name": "transcription", **asdict(api)}
        case Chat() | Embeddings() | Rerank() | Speech():
            return {"name": type(api).__name__.lower(), **asdict(api)}
    raise TypeError(f"{api!r} has no plain form")


def _api(data: Mapping[str, Any]) -> Api:
    match data["name"]:
        case "completions":
            return Completions(data["model"], data["vocabulary"])
        case "chat":
            return Chat(data["model"])
        case "embeddings":
            return Embeddings(data["model"], data["texts"])
        case "rerank":
            return Rerank(data["model"], data["texts"])
        case "speech":
            return Speech(data["model"])
        case _:
            return Transcriptions(data["language"], data["model"])


def plain_clips(clips: Iterable[Clip]) -> list[dict[str, Any]]:
    """Return clips as plain data, without their words, which are not sent."""
    return [
        {"name": c.name, "audio": base64.b64encode(c.audio).decode(), "seconds": c.seconds}
        for c in clips
    ]


def clips_of(data: Iterable[Mapping[str, Any]]) -> tuple[Clip, ...]:
    """Return the clips of this data."""
    return tuple(Clip(c["name"], base64.b64decode(c["audio"]), c["seconds"], ()) for c in data)


def plain_reply(reply: Reply) -> dict[str, Any]:
    """Return a reply as plain data, without what it lacks."""
    return {name: value for name, value in asdict(reply).items() if value is not None}


def reply_of(data: Mapping[str, Any]) -> Reply:
    """Return the reply of this data."""
    reply: Reply = from_plain(Reply, data)
    return reply
