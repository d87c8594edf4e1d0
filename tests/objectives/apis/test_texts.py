"""Answers to texts are read whole: vectors, scores and sound, and whatever is none of these."""

from __future__ import annotations

import json

import pytest

from objectives.apis.texts import MOST_BYTES, Embeddings, Rerank, Speech
from objectives.traffic.workload import Request


def test_no_text_comes_twice_and_each_has_its_length() -> None:
    api = Embeddings("m", 3)
    bodies = [json.loads(api.body(Request("e", 0.0, 12, seed=n), ())) for n in (1, 2)]
    texts = [text for body in bodies for text in body["input"]]
    assert len(set(texts)) == 6 and {len(text.split()) for text in texts} == {12}


def test_a_query_has_as_many_documents_as_it_should() -> None:
    body = json.loads(Rerank("m", 4).body(Request("r", 0.0, 5, seed=1), ()))
    assert len({body["query"], *body["documents"]}) == 5


@pytest.mark.parametrize(
    ("api", "body"),
    [
        (Embeddings("m", 1), b"[]"),
        (Embeddings("m", 1), b'{"data": null}'),
        (Embeddings("m", 1), b'{"data": [3]}'),
        (Embeddings("m", 2), b'{"data": [{"embedding": [1.0]}]}'),
        (Embeddings("m", 1), b'{"data": [{"embedding": "AAAA"}]}'),
        (Embeddings("m", 1), b'{"data": [{"embedding": [null]}]}'),
        (Embeddings("m", 1), b"{" * 100_000),
        (Rerank("m", 1), b'{"results": [{"relevance_score": true}]}'),
        (Rerank("m", 1), b'{"results": []}'),
        (Speech("m"), b'{"error": "no"}'),
        (Speech("m"), b""),
    ],
)
def test_what_the_api_does_not_promise_is_a_failed_reply(
    api: Embeddings | Rerank | Speech, body: bytes
) -> None:
    reading = api.reading()
    reading.feed(body)
    with pytest.raises(ValueError, match=r"\w"):
        reading.answer()


def test_an_empty_vector_is_an_empty_answer() -> None:
    assert Embeddings("m", 1).read(b'{"data": [{"embedding": []}]}').is_empty
    assert Speech("m").read(b"RIFF\0\0\0\0WAVE").is_empty


def test_an_answer_without_end_is_refused() -> None:
    reading = Speech("m").reading()
    with pytest.raises(ValueError, match="more than"):
        for _ in range(2 + MOST_BYTES // 2**20):
            reading.feed(bytes(2**20))
