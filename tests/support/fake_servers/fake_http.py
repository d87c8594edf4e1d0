"""Every HTTP server of the tests is built of this: a handler that answers, and where it listens.

It uses the standard library alone, for `fakes.py` starts without any other. What no HTTP server
would say is in `odd_servers`.
"""

from __future__ import annotations

import json
import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import TypeVar


class Server(ThreadingHTTPServer):
    """A server listens on this machine alone, and waits for none of its connections at its end."""

    daemon_threads = True
    request_queue_size = 128

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """A handler logs nothing, and its answers say nothing that changes with time."""

    def log_message(self, format: str, *args: object) -> None:
        pass

    def send_response(self, code: int, message: str | None = None) -> None:
        self.send_response_only(code, message)

    def body(self) -> bytes:
        """Read the body of a request, in one piece or in chunks."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def answer(self, status: int, body: object) -> None:
        """Answer with bytes, with a text, or with anything else as JSON, in one piece.

        So whoever asks a server that is killed has all of its answer, or none.
        """
        text = body if isinstance(body, str | bytes) else json.dumps(body)
        content = text.encode() if isinstance(text, str) else text
        self.send_response(status)
        if not isinstance(body, str):
            self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        file, self.wfile = self.wfile, BytesIO()
        self.end_headers()
        head, self.wfile = self.wfile.getvalue(), file
        self.wfile.write(head if self.command == "HEAD" else head + content)

    def begin_stream(self) -> None:
        """Answer in chunks, of which `end_stream` is the last."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def event(self, data: object) -> None:
        """Send an event: bytes, a text, or anything else as JSON."""
        text = data if isinstance(data, str | bytes) else json.dumps(data)
        content = b"data: %s\n\n" % (text.encode() if isinstance(text, str) else text)
        self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))

    def end_stream(self) -> None:
        """End an answer in chunks."""
        self.wfile.write(b"0\r\n\r\n")


S = TypeVar("S", bound=Server)


@contextmanager
def serving(server: S) -> Iterator[S]:
    """Let a server answer in a thread of this process."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def free_port() -> int:
    """Return a free port; neither servers of a study nor clients are given any of its range."""
    while True:
        with socket.socket() as opened, suppress(OSError):
            port = random.randrange(30_000, 32_768)
            opened.bind(("127.0.0.1", port))
            return port
