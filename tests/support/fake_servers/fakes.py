"""This program is an LLM and a speech server in one, with moods: `fakes.py --port N --mood MOOD`.

It uses the standard library alone, and answers 400 where a request is not what a real server needs.
As a unit of production, `fakes.py llm|stt --port N`, it takes any request, and reads its mood anew
at each from the file that the variable MOODS names, one `VALUE MOOD` a line: a mood shows where the
configuration is VALUE, so that a new one can misbehave and the old one not. Its settings are
visible in its command, environment and /metrics.
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
from pathlib import Path

if __name__ == "__main__":
    sys.modules["ssl"] = None  # a fourth of the start, and nobody speaks it here
    sys.path.append(str(Path(__file__).resolve().parents[1]))  # an isolated interpreter has it not

from fake_servers import fake_http
from fake_servers.fake_http import Handler

FAKE = Path(__file__).resolve()
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
    "hangs-up",
)
NO_BUDGET = (
    "(EngineCore pid=941) ValueError: Free memory on device cuda:0 (34.15/79.18 GiB) on startup is "
    "less than desired GPU memory utilization (0.6, 47.51 GiB). Decrease GPU memory utilization or "
    "reduce GPU memory used by other processes."
)
TORCH = (
    "(EngineCore pid=1460) ERROR 11-23 06:43:57 [core.py:1330] torch.OutOfMemoryError: CUDA out of "
    "memory. Tried to allocate 640.00 MiB. GPU 0 has a total capacity of 79.18 GiB of which 502.62 "
    "MiB is free."
)
SPEECH = (
    "transcriber: out of memory while transcribing: "
    "RuntimeError('CUDA failed with error out of memory')"
)
DEAD = "EngineCore encountered an issue. See stack trace (above) for the root cause."
START = """\
(EngineCore pid=1) INFO 11-23 06:36:02 [worker.py:1] Available KV cache memory: 0.25 GiB
(EngineCore pid=1) INFO 11-23 06:36:02 [kv.py:1] Maximum concurrency for \
1,024 tokens per request: 1.56x
(APIServer pid=1) INFO:     Application startup complete."""
METRICS = """\
vllm:cache_config_info{{block_size="16",engine="0",\
kv_cache_size_tokens="{tokens}",num_gpu_blocks="100"}} 1.0
vllm:kv_cache_usage_perc{{engine="0",model_name="model"}} {usage}
vllm:num_preemptions_total{{engine="0",model_name="model"}} {preemptions}
"""
# by path: the name of the texts in a request
BESIDE = {"/v1/embeddings": "input", "/v1/rerank": "documents", "/v1/audio/speech": "input"}
SLEEPS = {"/sleep?level=1": True, "/wake_up": False}
YES = {"choices": [{"text": "yes"}], "usage": {"completion_tokens": 1}}


def say(line: str) -> None:
    print(line, flush=True)


class Server(fake_http.Server):
    """A server has the state that all requests share; a mood shows after so many good answers."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(("127.0.0.1", options.port), Production if options.service else Fake)
        self.options = options
        self.lock = threading.Lock()
        self.turn = threading.Semaphore()  # first come, first served
        self.served = {"llm": 0, "stt": 0}
        self.in_flight = 0
        self.sleeps = False

    @property
    def value(self) -> str:
        """Return the setting of this unit of production."""
        is_llm = self.options.service == "llm"
        return self.options.share if is_llm else os.environ.get("WHISPER_MODEL", "")

    @property
    def mood(self) -> str:
        if not self.options.service:
            return self.options.mood
        try:
            lines = Path(os.environ.get("MOODS", "/nowhere")).read_text().splitlines()
        except OSError:
            return "well"
        return dict(line.split() for line in lines if line.strip()).get(self.value, "well")

    def is_due(self, service: str, *moods: str) -> bool:
        return self.mood in moods and self.served[service] > self.options.after

    @contextmanager
    def working(self, service: str):
        """Count one more request of a service, answered one at a time in mood `serial`."""
        with self.lock:
            self.served[service] += 1
            self.in_flight += 1
        try:
            if self.mood == "serial":
                self.turn.acquire()
            yield
        finally:
            if self.mood == "serial":
                self.turn.release()
            with self.lock:
                self.in_flight -= 1


class Fake(Handler):
    """A fake handles both services, strict in what they take."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        fake = self.server
        if fake.mood == "silent":
            time.sleep(3600)
        elif fake.sleeps and self.path != "/health":
            self.answer(500, {"error": "it sleeps"})
        elif self.path == "/pid":
            self.answer(200, str(os.getpid()))
        elif self.path == "/metrics" and fake.mood == "hangs-up":
            self.close_connection = True
        elif self.path == "/metrics":
            usage = fake.options.kv if fake.in_flight else 0.0
            preemptions = float(fake.served["llm"])
            tokens = fake.options.kv_tokens
            self.answer(200, METRICS.format(tokens=tokens, usage=usage, preemptions=preemptions))
        elif self.path == "/health":
            self.answer(503 if fake.mood == "never-ready" else 200, "")
        else:
            self.answer(404, {"error": "no such page"})

    def do_POST(self):
        body = self.body()
        if self.server.mood == "silent":
            time.sleep(3600)
        elif self.path in SLEEPS:
            self.server.sleeps = SLEEPS[self.path]
            self.answer(200, "")
        elif self.path == "/v1/completions":
            self.complete(json.loads(body))
        elif self.path == "/v1/chat/completions":
            self.converse(json.loads(body))
        elif self.path == "/v1/audio/transcriptions":
            self.transcribe(body)
        elif self.path in BESIDE:
            self.serve_texts(json.loads(body))
        else:
            self.answer(404, {"error": "no such page"})

    def complete(self, request: dict) -> None:
        prompt = request["prompt"]
        words = prompt.split() if isinstance(prompt, str) else prompt
        self.write_out(words, request, YES, {"text": "a"})

    def converse(self, request: dict) -> None:
        [message] = request["messages"]
        words = message["content"].split() if message["role"] == "user" else []
        choice = {"message": {"role": "assistant", "content": "yes"}}
        self.write_out(words, request, {**YES, "choices": [choice]}, {"delta": {"content": "a"}})

    def write_out(self, words: list, request: dict, whole: dict, part: dict) -> None:
        if not words or request["model"] != "model" or not request["ignore_eos"]:
            self.answer(400, {"error": "not what a completion needs"})
        elif request.get("stream"):
            is_counted = request["stream_options"]["include_usage"]
            with self.server.working("llm"):
                self.stream(len(words), request["max_tokens"], is_counted, part)
        else:
            self.answer(200, whole)

    def stream(self, prompt_tokens: int, tokens: int, is_counted: bool, part: dict) -> None:
        fake = self.server
        time.sleep(fake.options.delay)
        self.begin_stream()
        if fake.is_due("llm", "oom-under-load", "error-in-stream"):
            self.event({"choices": [part]})
            if fake.mood == "oom-under-load":
                say(TORCH)
            self.event({"error": {"message": DEAD, "type": "InternalServerError", "code": 500}})
        elif fake.is_due("llm", "exits-0-under-load"):
            self.connection.shutdown(socket.SHUT_RDWR)  # it drops them before it has ended
            time.sleep(0.5)
            os._exit(0)
        else:
            is_empty = fake.mood == "empty"
            for _ in range(0 if is_empty else tokens):
                self.event({"choices": [part]})
                time.sleep(fake.options.pause)
            if is_counted and not is_empty:
                usage = {"prompt_tokens": prompt_tokens, "completion_tokens": tokens}
                self.event({"choices": [], "usage": usage})
        self.event("[DONE]")
        self.end_stream()
        if fake.is_due("llm", "oom-under-load"):
            time.sleep(0.2)
            os._exit(0)

    def transcribe(self, body: bytes) -> None:
        fake = self.server
        parts = (b'name="file"; filename="', b"Content-Type: audio/", b'name="model"')
        if not all(part in body for part in parts):
            self.answer(400, {"error": "not what a transcription needs"})
            return
        with fake.working("stt"):
            time.sleep(fake.options.delay)
            if fake.is_due("stt", "stt-oom"):
                say(SPEECH)
                error = {"message": "out of memory", "type": "insufficient_memory"}
                self.answer(507, {"error": error})
            elif fake.is_due("stt", "stt-500"):
                self.answer(500, {"error": {"message": "it did not work"}})
            else:
                text = "" if fake.mood == "empty" else "Set a timer for twelve minutes."
                self.answer(200, {"text": text})

    def serve_texts(self, request: dict) -> None:
        """Embed, rank or speak, as the path says."""
        fake, name = self.server, BESIDE[self.path]
        texts = request[name] if isinstance(request[name], list) else [request[name]]
        with fake.working("llm"):
            time.sleep(fake.options.delay)
            if not all(text.strip() for text in texts) or len(set(texts)) < len(texts):
                self.answer(400, {"error": "no texts, or the same again"})
            elif fake.is_due("llm", "oom-under-load"):
                say(TORCH)
                self.answer(500, {"error": "Internal Server Error"})
            elif name == "documents":
                rows = [{"index": n, "relevance_score": 0.5} for n in range(len(texts))]
                self.answer(200, {"results": rows})
            elif isinstance(request[name], list):
                self.answer(200, {"data": [{"embedding": [0.5, 0.5]} for _ in texts]})
            else:
                self.answer(200, "RIFF\0\0\0\0WAVE" + "\0" * 100)


class Production(Handler):
    """This handles one unit of production; any POST is an answer that counts."""

    def do_GET(self):
        unit = self.server
        if self.path == "/health":
            self.answer(503 if unit.mood == "never-ready" else 200, "")
        elif self.path == "/version":
            self.answer(200, {"version": "0.26.0"})
        elif self.path == "/metrics" and unit.options.service == "llm":
            full = 50_000 if unit.mood == "small-cache" else 100_000
            tokens = round(float(unit.options.share) * full)
            self.answer(200, f'vllm:cache_config_info{{kv_cache_size_tokens="{tokens}"}} 1.0\n')
        else:
            self.answer(404, "")

    def do_POST(self):
        unit, service = self.server, self.server.options.service
        self.body()
        with unit.working(service):
            if unit.is_due(service, "slow"):
                time.sleep(0.4)
            if unit.is_due(service, "oom"):
                say(TORCH)
            if unit.is_due(service, "dies"):
                os._exit(0)
            if unit.mood == "wrong":
                self.answer(500, {"error": "it did not work"})
            else:
                self.answer(200, YES if service == "llm" else {"text": "Set a timer."})


def leave_child() -> None:
    """Leave a grandchild in its own session that ignores SIGTERM, as some engines do."""
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


def parsed(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("service", nargs="?", choices=("llm", "stt"), help="one unit of production, not both")
    add("--port", type=int, required=True)
    add("--mood", choices=MOODS, default="well")
    add("--after", type=int, default=4, help="good answers before a mood under load shows")
    add("--delay", type=float, default=0.0, help="seconds before each answer")
    add("--pause", type=float, default=0.0, help="seconds after each piece of a stream")
    add("--kv", type=float, default=0.5, help="share of the KV cache in use during a request")
    add("--kv-tokens", type=int, default=1600)
    add("--label", help="makes two commands differ")
    add("--oom-label", help="the label whose server is out of memory at its start")
    add("--share", "--gpu-memory-utilization", default="0.9", help="of a unit of production")
    add("--start-s", type=float, default=0.0, help="seconds before it listens")
    options = parser.parse_args(words)
    if options.label and options.label == options.oom_label:
        options.mood = "oom-at-start"
    if options.mood in ("slow", "serial") and not options.delay:
        options.delay = 0.3
    return options


def main() -> None:
    options = parsed()
    if options.mood == "oom-at-start":
        say(NO_BUDGET)
        sys.exit(1)
    if options.mood == "leaves-child":
        leave_child()
    time.sleep(options.start_s)
    with Server(options) as server:
        if server.mood in ("ignores-sigterm", "stuck"):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        elif options.service:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        ready = f"{time.time():.3f} ready: {options.service} {server.value}"
        say(ready if options.service else START)
        server.serve_forever(0.05)


if __name__ == "__main__":
    main()
