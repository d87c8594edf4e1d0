"""This module runs a capture in a thread, before a server whose moods are in the request's query.

`POST /v1/completions?mood=stream` is answered in the mood `stream`; see `Upstream`.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from asyncio import unix_events
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from forked import Forked

from objectives.capture import reader, reader_process
from objectives.capture.capture import Route, address, serve
from objectives.capture.tally import Tally
from objectives.capture.trace_file import TraceWriter

SECRET = "the words of a user"
WAIT_S = 20.0
COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"
SPEECH = "/v1/audio/transcriptions"


class Upstream(ThreadingHTTPServer):
    """An upstream is a server whose mood is in each request's query.

    Attributes:
        requests: What came: method, target, headers and body.
        gate: A stream sends its first piece, and the rest once the gate is open.
        hung_up: It is set once a client has hung up in the middle of an answer, or reads none.
        sent: The bytes that a `flood` has sent.
        answering: While it is not set, no answer begins.
        mood: Its mood whatever a request says; None lets the request say it.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.gate, self.hung_up, self.answering = (threading.Event() for _ in range(3))
        self.gate.set()
        self.answering.set()
        self.sent = 0
        self.mood: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """A handler writes its answers byte by byte, so that nothing in them changes with time."""

    server: Upstream
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.requests.append((self.command, self.path, dict(self.headers), b""))
        if self.headers.get("Upgrade") == "websocket":
            self.wfile.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\n\r\n"
            )
            self.wfile.write(self.rfile.read(4))
            self.close_connection = True
        elif self.mood == "until-close":
            self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nall of it")
            self.close_connection = True
        elif self.mood == "flood":
            self.flood()
        else:
            self.whole(200, {"path": self.path})

    do_HEAD = do_OPTIONS = do_DELETE = do_GET

    def do_POST(self) -> None:
        body = self.body()
        self.server.requests.append((self.command, self.path, dict(self.headers), body))
        self.server.answering.wait(WAIT_S)
        if self.path == "/tokenize":
            request = json.loads(body)
            texts = [request.get("prompt", "")] + [
                m["content"] for m in request.get("messages", [])
            ]
            self.whole(200, {"count": sum(len(t.split()) for t in texts), "tokens": []})
            return
        match self.mood:
            case "refuse":
                self.whole(400, {"error": {"message": "no such model"}})
            case "broken":
                self.whole(500, {"error": {"message": "it did not work"}})
            case "dies-early":
                self.close_connection = True
            case "not-json":
                self.raw(b"{")
            case "not-utf8":
                self.raw(b'{"text": "\xff"}')
            case "silent":
                self.wait_for_hang_up()
            case "stream" | "no-done" | "dies" | "resets" | "error" | "not-utf8-stream" | "slow":
                self.stream(json.loads(body))
            case _ if self.path.startswith(SPEECH):
                self.whole(200, {"text": SECRET})
            case _:
                usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
                choice = {"text": SECRET, "message": {"content": SECRET}}
                self.whole(200, {"choices": [choice], "usage": usage})

    @property
    def mood(self) -> str:
        if self.server.mood is not None:
            return self.server.mood
        return parse_qs(urlsplit(self.path).query).get("mood", [""])[0]

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def raw(self, content: bytes, status: int = 200) -> None:
        head = f"HTTP/1.1 {status} Told\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(content)}\r\n\r\n"
        self.wfile.write(head.encode() + (b"" if self.command == "HEAD" else content))

    def whole(self, status: int, content: object) -> None:
        self.raw(json.dumps(content).encode(), status)

    def stream(self, request: dict[str, Any]) -> None:
        self.wfile.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        is_chat = self.path.startswith(CHAT)
        if is_chat:
            self.piece({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
        for n in range(request["max_tokens"]):
            choice = {"delta": {"content": SECRET}} if is_chat else {"text": SECRET}
            self.piece({"choices": [choice]})
            if n == 0 and not self.server.gate.wait(WAIT_S):
                return
            if n == 1 and self.mood in ("dies", "resets"):
                linger = struct.pack("ii", int(self.mood == "resets"), 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                os.close(self.connection.detach())
                self.close_connection = True
                return
            if n == 1 and self.mood == "slow":
                self.wait_for_hang_up()
                return
        if self.mood == "error":
            self.piece({"error": {"message": "the engine is dead", "code": 500}})
        if self.mood == "not-utf8-stream":
            self.chunk(b'data: {"choices": [{"text": "\xff"}]}\n\n')
        if (request.get("stream_options") or {}).get("include_usage"):
            usage = {"prompt_tokens": 7, "completion_tokens": request["max_tokens"]}
            self.piece({"choices": [], "usage": usage})
        if self.mood != "no-done":
            self.chunk(b"data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def wait_for_hang_up(self) -> None:
        self.connection.settimeout(WAIT_S)
        if self.connection.recv(1) == b"":
            self.server.hung_up.set()
        self.close_connection = True

    def piece(self, event: object) -> None:
        self.chunk(f"data: {json.dumps(event)}\n\n".encode())

    def chunk(self, content: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))

    def flood(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
        self.connection.settimeout(0.3)
        self.close_connection = True
        try:
            while True:
                self.connection.sendall(bytes(2**16))
                self.server.sent += 2**16
        except OSError:
            self.server.hung_up.set()

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, ValueError):
            self.close_connection = True


@dataclass
class Capture:
    """A capture runs in a thread; its trace and tally are complete once it has ended."""

    path: Path
    routes: list[Route]
    tally: Tally = field(default_factory=Tally)
    sentences: list[str] = field(default_factory=list)
    end: Callable[[], None] = lambda: None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.routes[0].port}"

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    @property
    def missing(self) -> dict[tuple[str, str], int]:
        return {(s, why.value): n for (s, why), n in self.tally.missing.items()}


@contextmanager
def serving_upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.gate.set()
        server.answering.set()
        server.shutdown()
        thread.join()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def capturing(
    folder: Path, *servers: Upstream, mirror: Upstream | None = None, forks: bool = True
) -> Iterator[Capture]:
    """Capture before the servers into a trace in the folder; the block's end waits for the end.

    Args:
        folder: Where the trace is to lie.
        servers: What is captured.
        mirror: What gets copies.
        forks: Whether the reader is a fork of this process, in place of an interpreter.
    """
    copies = address(mirror.url, "--mirror") if mirror is not None else None
    routes = [Route(address(s.url, "--llm"), free_port(), copies) for s in servers]
    capture = Capture(folder / "trace.jsonl", routes)
    trace = TraceWriter(capture.path, capture.sentences.append)
    ready, failures = threading.Event(), []

    def run() -> None:
        async def until_end() -> None:
            stop, cut = asyncio.Event(), asyncio.Event()
            loop = asyncio.get_running_loop()
            capture.end = lambda: loop.call_soon_threadsafe(stop.set)

            def tell(sentence: str) -> None:
                capture.sentences.append(sentence)
                if len(capture.sentences) == len(routes):
                    ready.set()

            await serve(routes, trace, capture.tally, tell, stop, cut)

        trace.open()
        try:
            asyncio.run(until_end())
        except BaseException as error:  # the test's own thread raises it
            failures.append(error)
        finally:
            trace.close()
            ready.set()

    thread = threading.Thread(target=run)
    with _forked_reader() if forks else nullcontext():
        thread.start()
        assert ready.wait(WAIT_S)
        try:
            yield capture
        finally:
            capture.end()
            thread.join(60)
    assert failures == []


@contextmanager
def _forked_reader() -> Iterator[None]:
    """Fork the reader off this process: as an interpreter it imports for half a second.

    It is not nice, nor does it spare the server of what it asks: nobody else is served.
    """
    code = "from objectives.capture import reader; reader.main()"
    popen = SimpleNamespace(**vars(subprocess) | {"Popen": Forked})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader_process, "COMMAND", (sys.executable, "-c", code))
        patch.setattr(reader, "NICENESS", 0)
        patch.setattr(reader, "PAUSES", 0.0)
        patch.setattr(unix_events, "subprocess", popen)
        yield
