"""The stub is a streaming LLM server that computes nothing, to measure load generators against.

    python -m objectives.rig.stub_llm

It answers POST /v1/completions with `max_tokens` chunks as vLLM 0.26 writes them, one every
`--interval-ms`, and keeps the time at which each request had arrived whole: GET /arrivals gives
those times, in seconds of the machine's monotonic clock, and forgets them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time

CHOICE = {
    "index": 0,
    "text": "<t30299>",
    "logprobs": None,
    "finish_reason": None,
    "stop_reason": None,
    "prompt_token_ids": None,
    "token_ids": None,
}
CHUNK = {
    "id": "cmpl-abbb1b7ef6be1594",
    "object": "text_completion",
    "created": 1795419537,
    "model": "m",
    "choices": [CHOICE],
}
HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
LENGTH, TOKENS = re.compile(rb"(?i)content-length: *(\d+)"), re.compile(rb'"max_tokens": *(\d+)')


def event(data: str) -> bytes:
    """Return one server-sent event as one chunk of HTTP/1.1."""
    body = f"data: {data}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(body), body)


TOKEN = event(json.dumps(CHUNK, separators=(",", ":")))


class Stub(asyncio.Protocol):
    """A stub serves one connection: requests one after the other, each streamed to its end.

    Args:
        arrivals: It gets the time of each request.
        interval_s: The time between two tokens, seconds.
    """

    def __init__(self, arrivals: list[float], interval_s: float) -> None:
        self.arrivals, self.interval_s = arrivals, interval_s
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport, to answer on it."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  what create_server makes
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer a request once it has arrived whole."""
        self.buffer += data
        head, end, body = self.buffer.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if not end or len(body) < (size := int(length[1]) if length else 0):
            return
        now_s, self.buffer = time.monotonic(), body[size:]
        if head.startswith(b"POST /v1/completions "):
            self.arrivals.append(now_s)
            tokens = TOKENS.search(body)
            self.transport.write(HEAD)
            self.schedule(now_s + self.interval_s, int(tokens[1]) if tokens else 1, 0)
        elif head.startswith(b"GET /arrivals "):
            self.answer(json.dumps(self.arrivals).encode())
            self.arrivals.clear()
        else:
            self.answer(b"", b"404 Not Found")

    def answer(self, body: bytes, status: bytes = b"200 OK") -> None:
        """Write a whole answer at once."""
        self.transport.write(
            b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status, len(body), body)
        )

    def schedule(self, at_s: float, tokens: int, sent: int) -> None:
        """Schedule the next token at its time, whatever the ones before it took."""
        asyncio.get_running_loop().call_at(at_s, self.write_token, at_s, tokens, sent)

    def write_token(self, at_s: float, tokens: int, sent: int) -> None:
        """Write one token; after the last one the usage and the end, in one write as vLLM does."""
        if self.transport.is_closing():
            return
        if sent < tokens:
            self.transport.write(TOKEN)
            self.schedule(at_s + self.interval_s, tokens, sent + 1)
            return
        usage = {"prompt_tokens": 1, "completion_tokens": tokens, "total_tokens": tokens + 1}
        last = event(json.dumps({**CHUNK, "choices": [], "usage": usage}, separators=(",", ":")))
        self.transport.write(last + event("[DONE]") + b"0\r\n\r\n")


async def serve(port: int, interval_s: float) -> None:
    """Listen on this machine alone until the end; print the port once it listens."""
    arrivals: list[float] = []
    server = await asyncio.get_running_loop().create_server(
        lambda: Stub(arrivals, interval_s), "127.0.0.1", port, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--port", type=int, default=0, metavar="N", help="default: any that is free"
    )
    parser.add_argument(
        "--interval-ms",
        type=float,
        default=100.0,
        metavar="MS",
        help="between tokens (default 100)",
    )
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.port, arguments.interval_ms / 1000.0))
