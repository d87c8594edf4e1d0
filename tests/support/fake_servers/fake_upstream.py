"""This server records what is asked of it, and its mood is in each request's query.

`POST /v1/completions?mood=stream` is answered in the mood `stream`; see `Upstream`.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fake_servers import fake_http
from fake_servers.fake_http import serving

SECRET = "the words of a user"
WAIT_S = 20.0
COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"
SPEECH = "/v1/audio/transcriptions"


class Upstream(fake_http.Server):
    """An upstream is a server whose mood is in each request's query.

    Attributes:
        requests: What came: method, target, headers and body.
        gate: A stream sends its first piece, and the rest once the gate is open.
        hung_up: It is set once a client has hung up in the middle of an answer, or reads none.
        sent: The bytes that a `flood` has sent.
        answering: While it is not set, no answer begins.
        mood: Its mood whatever a request says; None lets the request say it.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.gate, self.hung_up, self.answering = (threading.Event() for _ in range(3))
        self.gate.set()
        self.answering.set()
        self.sent = 0
        self.mood: str | None = None


class Handler(fake_http.Handler):
    """This answers in the mood of a request."""

    server: Upstream
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

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
            self.answer(200, {"path": self.path})

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
            self.answer(200, {"count": sum(len(t.split()) for t in texts), "tokens": []})
            return
        match self.mood:
            case "refuse":
                self.answer(400, {"error": {"message": "no such model"}})
            case "broken":
                self.answer(500, {"error": {"message": "it did not work"}})
            case "dies-early":
                self.close_connection = True
            case "not-json":
                self.answer(200, b"{")
            case "not-utf8":
                self.answer(200, b'{"text": "\xff"}')
            case "silent":
                self.wait_for_hang_up()
            case "stream" | "no-done" | "dies" | "resets" | "error" | "not-utf8-stream" | "slow":
                self.stream(json.loads(body))
            case _ if self.path.startswith(SPEECH):
                self.answer(200, {"text": SECRET})
            case _:
                usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
                choice = {"text": SECRET, "message": {"content": SECRET}}
                self.answer(200, {"choices": [choice], "usage": usage})

    @property
    def mood(self) -> str:
        if self.server.mood is not None:
            return self.server.mood
        return parse_qs(urlsplit(self.path).query).get("mood", [""])[0]

    def stream(self, request: dict[str, Any]) -> None:
        self.begin_stream()
        is_chat = self.path.startswith(CHAT)
        if is_chat:
            self.event({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
        for n in range(request["max_tokens"]):
            choice = {"delta": {"content": SECRET}} if is_chat else {"text": SECRET}
            self.event({"choices": [choice]})
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
            self.event({"error": {"message": "the engine is dead", "code": 500}})
        if self.mood == "not-utf8-stream":
            self.event(b'{"choices": [{"text": "\xff"}]}')
        if (request.get("stream_options") or {}).get("include_usage"):
            usage = {"prompt_tokens": 7, "completion_tokens": request["max_tokens"]}
            self.event({"choices": [], "usage": usage})
        if self.mood != "no-done":
            self.event("[DONE]")
        self.end_stream()

    def wait_for_hang_up(self) -> None:
        self.connection.settimeout(WAIT_S)
        if self.connection.recv(1) == b"":
            self.server.hung_up.set()
        self.close_connection = True

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
        except ConnectionError:  # it hung up before all was written
            self.server.hung_up.set()
            self.close_connection = True
        except ValueError:
            self.close_connection = True


@contextmanager
def serving_upstream() -> Iterator[Upstream]:
    """Serve in a thread, until no answer waits any more."""
    with serving(Upstream()) as server:
        yield server
        server.gate.set()
        server.answering.set()
