"""Texts go to services beside the voice turn: to be embedded, ranked or spoken. Pure."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from objectives.apis.api import Answer, WholeBody, parsed, quoted
from objectives.apis.completions import common_words
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Request

MOST_BYTES = 64 * 2**20  # of an answer: vectors of some hundred texts, or minutes of sound
SEEDS = 1000  # of one request: more than it has texts


def texts_of(request: Request, count: int) -> list[str]:
    """Return the texts of a request, each as long as its prompt and unlike the others."""
    seeds = (SEEDS * request.seed + n for n in range(count))
    return [common_words(replace(request, seed=seed)) for seed in seeds]


class OfTexts(ABC):
    """An API of texts is asked in JSON, and answers in one piece."""

    __slots__ = ()
    content_type: ClassVar[str] = "application/json"
    is_fed_audio: ClassVar[bool] = False

    @abstractmethod
    def read(self, body: bytes) -> Answer:
        """Return what a whole answer says.

        Raises:
            ValueError: It is not what the API promises.
        """

    def reading(self) -> WholeBody:
        """Return what reads one answer."""
        return WholeBody(self.read, MOST_BYTES)


@dataclass(frozen=True, slots=True)
class Embeddings(OfTexts):
    """OpenAI's API of embeddings takes texts and answers a vector for each.

    Args:
        model: The name that the server knows its model by.
        texts: The number of texts in a request.
    """

    model: str
    texts: int
    path: ClassVar[str] = "/v1/embeddings"

    def body(self, request: Request, clips: Sequence[Clip]) -> bytes:  # noqa: ARG002
        """Return the body of a request."""
        return json.dumps({"model": self.model, "input": texts_of(request, self.texts)}).encode()

    def read(self, body: bytes) -> Answer:
        """Return whether each text has a vector.

        Raises:
            ValueError: The answer is no list of vectors, or not of as many.

        >>> Embeddings("m", 1).read(b'{"data": [{"embedding": [0.5]}]}').is_empty
        False
        """
        rows = _rows(body, "data", self.texts)
        vectors = [row.get("embedding") for row in rows]
        if not all(isinstance(v, list) and all(map(_is_number, v)) for v in vectors):
            raise ValueError(f"no vectors of numbers in {quoted(rows)}")
        return Answer(is_empty=not all(vectors))


@dataclass(frozen=True, slots=True)
class Rerank(OfTexts):
    """This API takes a query and texts, and answers how well each text fits the query.

    Args:
        model: The name that the server knows its model by.
        texts: The number of texts in a request.
    """

    model: str
    texts: int
    path: ClassVar[str] = "/v1/rerank"

    def body(self, request: Request, clips: Sequence[Clip]) -> bytes:  # noqa: ARG002
        """Return the body of a request; its query is as long as a text."""
        query, *documents = texts_of(request, 1 + self.texts)
        data = {"model": self.model, "query": query, "documents": documents}
        return json.dumps(data).encode()

    def read(self, body: bytes) -> Answer:
        """Return an answer where each text has a score.

        Raises:
            ValueError: The answer is no list of scores, or not of as many.

        >>> Rerank("m", 1).read(b'{"results": [{"index": 0, "relevance_score": 0.5}]}').is_empty
        False
        """
        rows = _rows(body, "results", self.texts)
        if not all(_is_number(row.get("relevance_score")) for row in rows):
            raise ValueError(f"no scores in {quoted(rows)}")
        return Answer(is_empty=False)


@dataclass(frozen=True, slots=True)
class Speech(OfTexts):
    """OpenAI's API of speech synthesis takes a text and answers its sound.

    Args:
        model: The name that the server knows its model by.
    """

    model: str
    path: ClassVar[str] = "/v1/audio/speech"

    def body(self, request: Request, clips: Sequence[Clip]) -> bytes:  # noqa: ARG002
        """Return the body of a request."""
        [text] = texts_of(request, 1)
        data = {"model": self.model, "voice": "alloy", "input": text, "response_format": "wav"}
        return json.dumps(data).encode()

    def read(self, body: bytes) -> Answer:
        """Return whether there is sound behind the head of a WAV file.

        Raises:
            ValueError: It is no WAV file.

        >>> Speech("m").read(b"RIFF" + bytes(4) + b"WAVE" + bytes(100)).is_empty
        False
        """
        if body[:4] != b"RIFF" or body[8:12] != b"WAVE":
            raise ValueError(f"no sound in {quoted(body[:100])}")
        return Answer(is_empty=len(body) <= 44)


def _rows(body: bytes, name: str, count: int) -> list[dict[str, object]]:
    answer = parsed(body)
    rows = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"there is no {name} in {quoted(answer)}")
    if len(rows) != count:
        raise ValueError(f"{len(rows)} {name} for {count} texts")
    return rows


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
