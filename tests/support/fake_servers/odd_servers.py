"""These servers answer oddly, all in one thread: they send no HTTP, no JSON or no answer."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress

DEEP = "[" * 100_000
COUNTS = ["null", "-1", "true", "1.5", '"7"', "[7]", "{}", "1e400", "NaN", "9" * 400, "9" * 5000]
TEXTS: Mapping[str, str | bytes] = {
    "nothing": "",
    "null": "null",
    "list": "[]",
    "number": "5",
    "word": '"text"',
    "object": "{}",
    "NaN": "NaN",
    "infinite": "1e400",
    "deep": DEEP,
    "deep choices": '{"choices": ' + DEEP,
    "deep and whole": '{"choices": ' + "[" * 900 + "]" * 900 + "}",
    "no JSON": "<html>502</html>",
    "no UTF-8": b'{"text": "\xff\xfe", "choices": [{"text": "\xff"}]}',
    "cut": '{"choices": [{"text": "a"}',
    "choices 7": '{"choices": 7}',
    "choices null": '{"choices": null, "text": null}',
    "choices object": '{"choices": {"0": {"text": "a"}}, "text": {}}',
    "no choices": '{"choices": []}',
    "choices of numbers": '{"choices": [5], "text": 5}',
    "text null": '{"choices": [{"text": null}], "text": null}',
    "text list": '{"choices": [{"text": ["a"]}], "text": ["a"]}',
    "error": '{"error": "\\ud800"}',
    "deep error": '{"error": ' + "[" * 900 + "]" * 900 + "}",
}
BODIES: Mapping[str, bytes] = {
    name: body if isinstance(body, bytes) else body.encode() for name, body in TEXTS.items()
} | {
    f"usage {usage[:40]}": b'{"choices": 7, "usage": %s}' % usage.encode()
    for usage in ['"x"', "[1]", "5", *(f'{{"completion_tokens": {n}}}' for n in COUNTS)]
}

# what is sent once, then again and again: bytes as fast as they are taken, a pair so often a second
Sent = tuple[bytes, bytes | tuple[bytes, float]]
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def whole(body: bytes, status: str = "200 OK") -> bytes:
    """Return an answer with this body."""
    return b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (
        status.encode(),
        len(body),
        body,
    )


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
ANSWERS: Mapping[str, Sent] = {
    "hangs up": (b"", b""),
    "another protocol": (b"SSH-2.0-OpenSSH\r\n\r\n", b""),
    "silent": (b"", (b"", 1.0)),
    "a status without end": (b"", b"x" * 10_000),
    "drips a head": (OK, (b"X-Y: z\r\n", 20.0)),
    "a head without end": (OK, b"X-Y: " + b"z" * 10_000 + b"\r\n"),
    "a header without end": (OK + b"X-Y: ", b"z" * 10_000),
    "interim without end": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "another protocol from here": (
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"x",
    ),
    "drips a body": (OK + b"Content-Length: 9999\r\n\r\n", (b" ", 20.0)),
    "drips chunks": (CHUNKED, (b"1\r\n \r\n", 20.0)),
    "a body without end": (OK + b"\r\n", b"x" * 10_000),
    "a line without end": (CHUNKED, b"2710\r\n" + b"x" * 10_000 + b"\r\n"),
    "a trailer without end": (CHUNKED + b"0\r\n", b"X-Y: " + b"z" * 10_000 + b"\r\n"),
    "an extension without end": (CHUNKED + b"1;", b"z" * 10_000),
    "a refusal without end": (b"HTTP/1.1 500 No\r\n\r\n", b"x" * 10_000),
    "too short": (OK + b"Content-Length: 20\r\n\r\n{}", b""),
    "two lengths": (OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", b""),
    "a length below zero": (OK + b"Content-Length: -2\r\n\r\n{}", b""),
    "no chunk": (CHUNKED + b"zz\r\n", b""),
    "no status": (b"HTTP/1.1 2x0 OK\r\n\r\n", b""),
    "moved": (b"HTTP/1.1 302 F\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", b""),
    "packed": (OK + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00", b""),
    "half a letter": (whole(b'{"detail": "\\ud800 \xed\xa0\x80"}', "500 No"), b""),
    "NUL": (whole(b"\x00\x1b[2J", "503 No"), b""),
}


def listening(
    answers: Mapping[str, Callable[[str], Sent]],
) -> AbstractContextManager[dict[str, str]]:
    """Give the url of a server for each name, which sends what is told for a request's path."""
    return listening_to({name: talker(sent) for name, sent in answers.items()})


@contextmanager
def listening_to(talks: Mapping[str, Talk]) -> Iterator[dict[str, str]]:
    """Give the url of a server for each name, which has this talk with each connection."""
    loop, urls, servers = asyncio.new_event_loop(), dict[str, str](), list[asyncio.Server]()

    async def open_all() -> None:
        for name, talk in talks.items():
            server = await asyncio.start_server(talk, "127.0.0.1", 0)
            servers.append(server)
            urls[name] = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_forever()

    loop.run_until_complete(open_all())
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield urls
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        for server in servers:
            server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0.01))
        loop.close()


def talker(sent: Callable[[str], Sent]) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        again: bytes | tuple[bytes, float] = b""
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = await read_request(reader)
            once, again = sent(head.split()[1].decode())
            writer.write(once)
            while again:
                data, per_s = again if isinstance(again, tuple) else (again, 0.0)
                writer.write(data)
                await writer.drain()
                await asyncio.sleep(1 / per_s if per_s else 0)
        writer.transport.abort() if again else writer.close()

    return talk


@contextmanager
def conversing(*answers: bytes, then_closes: bool = False) -> Iterator[tuple[str, list[int]]]:
    """Give the url of a server that answers each request on a connection in turn, byte for byte.

    The list beside it has one item for each connection.
    """
    seen = list[int]()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(1)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            for answer in answers:
                await read_request(reader)
                writer.write(answer)
                await writer.drain()
            if not then_closes:
                await reader.read()
        writer.close()

    with listening_to({"it": talk}) as urls:
        yield urls["it"], seen


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Return the head of a request once all of it is there."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    await reader.readexactly(int(length[1]) if length else 0)
    return head


def saying(body: bytes) -> Callable[[str], Sent]:
    """Return what is healthy, and answers everything else with this body."""
    return lambda path: (whole(b"" if path == "/health" else body), b"")


def streaming(body: bytes) -> Callable[[str], Sent]:
    """Return what answers with one event of this body."""
    data = b"data: %s\n\ndata: [DONE]\n\n" % body
    return lambda _: (CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data), b"")


def always(sent: Sent) -> Callable[[str], Sent]:
    """Return what answers so whatever it is asked."""
    return lambda _: sent
