"""A stand-in for a unit of production, with moods by configuration: `stand_in.py llm|stt --port N [--share X]`.

Standard library only. What it was given is visible in its command line, its environment and /metrics. Its moods are
read anew at each request from the file that the variable MOODS names, one `VALUE MOOD` a line: a mood shows
where its own configuration is VALUE, so that a new one can misbehave and the old one not.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TORCH = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 640.00 MiB. "
    "GPU 0 has a total capacity of 79.18 GiB."
)
GOOD = 4  # answers before a mood under load shows


class Server(ThreadingHTTPServer):
    daemon_threads = True
    answered = 0

    def __init__(self, asked: argparse.Namespace) -> None:
        super().__init__(("127.0.0.1", asked.port), Handler)
        self.asked = asked

    @property
    def value(self) -> str:
        return (
            self.asked.share if self.asked.service == "llm" else os.environ.get("WHISPER_MODEL", "")
        )

    @property
    def mood(self) -> str:
        try:
            lines = Path(os.environ.get("MOODS", "/nowhere")).read_text().splitlines()
        except OSError:
            return "well"
        return dict(line.split() for line in lines if line.strip()).get(self.value, "well")


class Handler(BaseHTTPRequestHandler):
    def log_message(self, format, *args):
        pass

    def answer(self, status: int, body: object) -> None:
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_GET(self):
        server = self.server
        if self.path == "/health":
            self.answer(503 if server.mood == "never-ready" else 200, "")
        elif self.path == "/version":
            self.answer(200, {"version": "0.26.0"})
        elif self.path == "/metrics" and server.asked.service == "llm":
            tokens = round(
                float(server.asked.share) * (50_000 if server.mood == "small-cache" else 100_000)
            )
            self.answer(200, f'vllm:cache_config_info{{kv_cache_size_tokens="{tokens}"}} 1.0\n')
        else:
            self.answer(404, "")

    def do_POST(self):
        server = self.server
        self.rfile.read(int(self.headers["Content-Length"]))
        server.answered += 1
        late = server.answered > GOOD
        if server.mood == "slow" and late:
            time.sleep(0.4)
        if server.mood == "oom" and late:
            print(TORCH, flush=True)
        if server.mood == "dies" and late:
            os._exit(0)
        if server.mood == "wrong":
            self.answer(500, {"error": "it did not work"})
        elif server.asked.service == "llm":
            self.answer(200, {"choices": [{"text": "yes"}], "usage": {"completion_tokens": 1}})
        else:
            self.answer(200, {"text": "Set a timer."})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("service", choices=("llm", "stt"))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--share", "--gpu-memory-utilization", default="0.9")
    parser.add_argument("--start-s", type=float, default=0.0, help="seconds before it listens")
    asked = parser.parse_args()
    time.sleep(asked.start_s)
    with Server(asked) as server:
        print(f"{time.time():.3f} ready: {asked.service} {server.value}", flush=True)
        if server.mood == "stuck":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        else:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        server.serve_forever(0.05)


if __name__ == "__main__":
    main()
