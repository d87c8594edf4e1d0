"""An LLM server and a transcription server in one process, with moods: `fake_server.py --port N --mood MOOD`.

Standard library only. Answers are refused (400) where a request is not what a real server needs.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MOODS = (
    "well",
    "slow",
    "serial",
    "silent",
    "empty",
    "never-ready",
    "oom-at-start",
    "oom-under-load",
    "exits-0-under-load",
    "error-in-stream",
    "stt-oom",
    "stt-500",
    "ignores-sigterm",
    "leaves-child",
)
NO_BUDGET = (
    "(EngineCore pid=941) ValueError: Free memory on device cuda:0 (34.15/79.18 GiB) on startup is less than desired "
    "GPU memory utilization (0.6, 47.51 GiB). Decrease GPU memory utilization or reduce GPU memory used by other "
    "processes."
)
TORCH = (
    "(EngineCore pid=1460) ERROR 11-23 06:43:57 [core.py:1330] torch.OutOfMemoryError: CUDA out of memory. Tried to "
    "allocate 640.00 MiB. GPU 0 has a total capacity of 79.18 GiB of which 502.62 MiB is free."
)
SPEECH = "transcriber: out of memory while transcribing: RuntimeError('CUDA failed with error out of memory')"
DEAD = "EngineCore encountered an issue. See stack trace (above) for the root cause."
START = (
    "(EngineCore pid=1) INFO 11-23 06:36:02 [worker.py:1] Available KV cache memory: 0.25 GiB",
    "(EngineCore pid=1) INFO 11-23 06:36:02 [kv.py:1] Maximum concurrency for 1,024 tokens per request: 1.56x",
    "(APIServer pid=1) INFO:     Application startup complete.",
)
METRICS = """\
vllm:cache_config_info{{block_size="16",engine="0",kv_cache_size_tokens="{tokens}",num_gpu_blocks="100"}} 1.0
vllm:kv_cache_usage_perc{{engine="0",model_name="model"}} {usage}
vllm:num_preemptions_total{{engine="0",model_name="model"}} {preemptions}
"""


def say(line: str) -> None:
    print(line, flush=True)


class Fake(ThreadingHTTPServer):
    """The state that all requests share; `after` good answers of a service come before its mood shows."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, asked: argparse.Namespace) -> None:
        super().__init__(("127.0.0.1", asked.port), Handler)
        self.asked = asked
        self.lock, self.turn = threading.Lock(), threading.Lock()
        self.served = {"llm": 0, "stt": 0}
        self.in_flight = 0

    def is_due(self, service: str, *moods: str) -> bool:
        return self.asked.mood in moods and self.served[service] > self.asked.after

    @contextmanager
    def working(self, service: str):
        """One more request of a service, answered one at a time in mood `serial`."""
        with self.lock:
            self.served[service] += 1
            self.in_flight += 1
        try:
            if self.asked.mood == "serial":
                self.turn.acquire()
            yield
        finally:
            if self.asked.mood == "serial":
                self.turn.release()
            with self.lock:
                self.in_flight -= 1


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format, *args):
        pass

    def answer(self, status: int, body: object) -> None:
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def chunk(self, data: str) -> None:
        content = f"data: {data}\n\n".encode()
        self.wfile.write(f"{len(content):x}\r\n".encode() + content + b"\r\n")

    def do_GET(self):
        fake = self.server
        if fake.asked.mood == "silent":
            time.sleep(3600)
        elif self.path == "/metrics":
            usage = fake.asked.kv if fake.in_flight else 0.0
            page = METRICS.format(
                tokens=fake.asked.kv_tokens, usage=usage, preemptions=float(fake.served["llm"])
            )
            self.answer(200, page)
        elif self.path == "/health":
            self.answer(503 if fake.asked.mood == "never-ready" else 200, "")
        else:
            self.answer(404, {"error": "no such page"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.asked.mood == "silent":
            time.sleep(3600)
        elif self.path == "/v1/completions":
            self.complete(json.loads(body))
        elif self.path == "/v1/audio/transcriptions":
            self.transcribe(body)
        else:
            self.answer(404, {"error": "no such page"})

    def complete(self, asked: dict) -> None:
        prompt = asked["prompt"]
        words = prompt.split() if isinstance(prompt, str) else prompt
        if not words or asked["model"] != "model" or not asked["ignore_eos"]:
            self.answer(400, {"error": "not what a completion needs"})
        elif asked.get("stream"):
            with self.server.working("llm"):
                self.stream(
                    len(words), asked["max_tokens"], asked["stream_options"]["include_usage"]
                )
        else:
            self.answer(200, {"choices": [{"text": "yes"}], "usage": {"completion_tokens": 1}})

    def stream(self, prompt_tokens: int, tokens: int, is_counted: bool) -> None:
        fake = self.server
        time.sleep(fake.asked.delay)
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if fake.is_due("llm", "oom-under-load", "error-in-stream"):
            self.chunk(json.dumps({"choices": [{"text": "a"}]}))
            if fake.asked.mood == "oom-under-load":
                say(TORCH)
            self.chunk(
                json.dumps({"error": {"message": DEAD, "type": "InternalServerError", "code": 500}})
            )
        elif fake.is_due("llm", "exits-0-under-load"):
            self.connection.shutdown(
                socket.SHUT_RDWR
            )  # a server drops its connections before it has ended
            time.sleep(0.5)
            os._exit(0)
        else:
            for _ in range(0 if fake.asked.mood == "empty" else tokens):
                self.chunk(json.dumps({"choices": [{"text": "a"}]}))
            usage = {"prompt_tokens": prompt_tokens, "completion_tokens": tokens}
            if is_counted and fake.asked.mood != "empty":
                self.chunk(json.dumps({"choices": [], "usage": usage}))
        self.chunk("[DONE]")
        self.wfile.write(b"0\r\n\r\n")
        if fake.is_due("llm", "oom-under-load"):
            time.sleep(0.2)
            os._exit(0)

    def transcribe(self, body: bytes) -> None:
        fake = self.server
        if (
            b'name="file"; filename="' not in body
            or b"fLaC" not in body
            or b'name="model"' not in body
        ):
            self.answer(400, {"error": "not what a transcription needs"})
            return
        with fake.working("stt"):
            time.sleep(fake.asked.delay)
            if fake.is_due("stt", "stt-oom"):
                say(SPEECH)
                self.answer(
                    507, {"error": {"message": "out of memory", "type": "insufficient_memory"}}
                )
            elif fake.is_due("stt", "stt-500"):
                self.answer(500, {"error": {"message": "it did not work"}})
            else:
                self.answer(
                    200,
                    {
                        "text": ""
                        if fake.asked.mood == "empty"
                        else "Set a timer for twelve minutes."
                    },
                )


def leave_child() -> None:
    """A grandchild in its own session that ignores SIGTERM, as an engine does whose front end is killed."""
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    say(f"grandchild {os.getpid()}")
    while True:
        time.sleep(3600)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--mood", choices=MOODS, default="well")
    parser.add_argument(
        "--after", type=int, default=4, help="good answers before a mood under load shows"
    )
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument(
        "--kv", type=float, default=0.5, help="share of the KV cache in use while a request runs"
    )
    parser.add_argument("--kv-tokens", type=int, default=1600)
    parser.add_argument("--label", help="makes two commands differ")
    parser.add_argument("--oom-label", help="the label whose server is out of memory at its start")
    asked = parser.parse_args()
    if asked.label and asked.label == asked.oom_label:
        asked.mood = "oom-at-start"
    if asked.mood == "oom-at-start":
        say(NO_BUDGET)
        sys.exit(1)
    if asked.mood == "ignores-sigterm":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if asked.mood == "leaves-child":
        leave_child()
    if asked.mood in ("slow", "serial") and not asked.delay:
        asked.delay = 0.3
    with Fake(asked) as server:
        for line in START:
            say(line)
        server.serve_forever(0.05)


if __name__ == "__main__":
    main()
