"""A caller waits for an answer until the last of it has come, or for too long."""

from __future__ import annotations

import asyncio
import time

import pytest

from objectives.on_demand.caller import ANSWER_S, MOST_HEAD, Caller, head_of


@pytest.mark.parametrize(
    ("pieces", "is_asking"),
    [
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"ok"], False),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"], True),
        ([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"], False),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"], True),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r", b"\n\r\n"], False),
        ([b"HTT"], True),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Enc", b"oding:gzip, Chunked\r\n\r\n"], True),
        ([b"HTTP/1.1 200 OK\r\nContent-Len", b"gth: 2\r\n\r", b"\nok"], False),
        ([b"HTTP/1.0 200 OK\r\n\r\n", b"data: 1"], True),  # it ends with the connection
        ([b"HTTP/1.1 204 No Content\r\n\r\n"], False),
        ([b"HTTP/1.1 101 Switching Protocols\r\n\r\n", b"\x81\x00"], False),
        ([b"HTTP/1.1 100 Continue\r\n\r\n"], True),
        ([b"HTTP/1.1 100 Continue\r\n\r\n" * 2000 + b"HTTP/1.1 20"], True),
        ([b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"], False),
        (
            [
                b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n",
                b"a\r\nTransfer-Encoding: chunked\r\n\r\n",
            ],
            False,
        ),
    ],
)
def test_an_answer_is_due_until_its_last_chunk(pieces: list[bytes], is_asking: bool) -> None:
    caller = Caller(None, active_s=0.0, is_asking=True)  # type: ignore[arg-type]
    for piece in pieces:
        caller.hear(piece)
    assert caller.is_asking is is_asking


def test_who_waits_too_long_keeps_nothing_awake() -> None:
    now_s = time.monotonic()
    waits = [
        Caller(None, active_s=now_s - ago_s, is_asking=True).is_waiting  # type: ignore[arg-type]
        for ago_s in (0.0, ANSWER_S)
    ]
    assert waits == [True, False]


@pytest.mark.parametrize("pieces", [[b"a" * MOST_HEAD], [b"a" * (MOST_HEAD - 1), b"a" * 9]])
def test_a_head_that_is_too_long_is_over_at_once_whatever_its_pieces(pieces: list[bytes]) -> None:
    """Nothing more comes, and nobody hangs up."""

    class Reader(asyncio.StreamReader):
        async def read(self, n: int = -1) -> bytes:
            return pieces.pop(0) if pieces else await asyncio.Future()

    async def heard() -> bytes:
        return await head_of(Reader())

    assert asyncio.run(heard()) == b""
