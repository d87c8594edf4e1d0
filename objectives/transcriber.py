"""The speech server: one Whisper model behind OpenAI's /v1/audio/transcriptions, on loopback only.

It may run under another interpreter (``OTHER_PYTHON objectives/transcriber.py --model DIR ...``), which needs
only faster-whisper. Requests queue for the model, first come first served. /health is 200 only after an
inference on the device asked for. Out-of-memory is answered with 507; nothing falls back to the CPU.
"""

from __future__ import annotations

import argparse
import gc
import io
import json
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import ctranslate2  # type: ignore[import-untyped]
import faster_whisper  # type: ignore[import-untyped]
import numpy as np
from av.error import FFmpegError

MEMORY_WORDS = re.compile(r"out of memory|ALLOC_FAILED|failed to allocate|bad_alloc", re.IGNORECASE)
METHODS = {"/health": "GET", "/metrics": "GET", "/v1/audio/transcriptions": "POST"}
KINDS = {500: "server_error", 503: "service_unavailable", 507: "out_of_memory"}
MIB = 2**20
LARGEST_BODY = 25 * MIB


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Whisper:
    """One model, loaded and warm, that decodes the same way each time: temperature 0, no carried context."""

    def __init__(self, asked: argparse.Namespace) -> None:
        start = time.perf_counter()
        self.ballast = touched(asked.extra_mib * MIB, asked.device)
        where = (asked.device, asked.device_index, asked.compute_type, asked.threads)
        self.model = faster_whisper.WhisperModel(str(asked.model), *where, local_files_only=True)
        self.decoding: dict[str, Any] = {"temperature": 0.0, "condition_on_previous_text": False}
        self.decoding |= {
            "without_timestamps": True,
            "vad_filter": False,
            "beam_size": asked.beam_size,
        }
        if (
            asked.max_new_tokens
        ):  # CTranslate2 writes half of max_length, which is prompt + max_new_tokens
            prompt = 4 if self.model.model.is_multilingual else 2
            self.decoding["max_new_tokens"] = 2 * asked.max_new_tokens - prompt
        if (
            asked.fixed_output
        ):  # neither an end of text nor a timestamp ends it early, and nothing is dropped
            first, last = map(
                self.model.hf_tokenizer.token_to_id, ("<|endoftext|>", "<|notimestamps|>")
            )
            ends = range(
                first, last + 1502
            )  # 1,501 timestamps follow: 0.00 to 30.00 s, each 0.02 s
            limits = ("no_speech_threshold", "log_prob_threshold", "compression_ratio_threshold")
            self.decoding |= {"suppress_tokens": list(ends), **dict.fromkeys(limits)}
        loaded = time.perf_counter()
        self.transcribe(np.zeros(16_000, dtype=np.float32), asked.language)
        used = {
            "device_used": self.model.model.device,
            "compute_type_used": self.model.model.compute_type,
        }
        self.facts = {**used, "load_s": loaded - start, "warmup_s": time.perf_counter() - loaded}

    def transcribe(self, audio: Any, language: str | None) -> tuple[dict[str, Any], float]:
        """OpenAI's verbose answer, and the seconds of service."""
        start = time.perf_counter()
        found, info = self.model.transcribe(audio, language=language, **self.decoding)
        segments = [
            {"start": s.start, "end": s.end, "text": s.text, "tokens": s.tokens} for s in found
        ]
        text = "".join(segment["text"] for segment in segments).strip()
        answer = {
            "task": "transcribe",
            "language": info.language,
            "duration": info.duration,
            "text": text,
        }
        return {**answer, "segments": segments}, time.perf_counter() - start


class Server(ThreadingHTTPServer):
    request_queue_size = 128

    def __init__(self, asked: argparse.Namespace, queue: ThreadPoolExecutor) -> None:
        super().__init__(("127.0.0.1", asked.port), Handler)
        self.asked, self.queue = asked, queue
        self.whisper: Whisper | None = None
        self.counts = {"requests": 0, "oom_events": 0}

    def health(self) -> dict[str, Any]:
        status = (
            {"status": "ready", **self.whisper.facts} if self.whisper else {"status": "loading"}
        )
        asked = {
            **vars(self.asked),
            "model": self.asked.model.name,
            "model_path": str(self.asked.model),
        }
        versions = {module.__name__: module.__version__ for module in (faster_whisper, ctranslate2)}
        return {**status, **asked, **self.counts, "versions": versions}

    def handle_error(self, request: Any, client_address: Any) -> None:
        if isinstance(error := sys.exc_info()[1], ConnectionError):  # no failure of this server
            return log(f"the client at {client_address} hung up: {error}")
        return super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = 300  # seconds that a kept connection may idle
    wbufsize = (
        -1
    )  # head and body leave together: apart, the second waits for the first's acknowledgement
    disable_nagle_algorithm = True

    def dispatch(self) -> None:
        try:
            self.answer(*self.reply(self.path.partition("?")[0], self.body()))
        except Refused as refused:
            self.send_error(refused.status, str(refused))
        except CancelledError:
            self.send_error(503, "the server is stopping")
        except (RuntimeError, MemoryError, ValueError) as error:
            traceback.print_exc()
            if not memory_ran_out(error):
                return self.send_error(500, repr(error))
            self.server.counts["oom_events"] += 1
            log(f"out of memory while transcribing: {error!r}")
            self.send_error(507, f"out of memory: {error!r}")

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = dispatch

    def body(self) -> bytes:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not re.fullmatch("[0-9]{1,12}", length):
            raise Refused(411, "send the body with a Content-Length")
        if (size := int(length)) <= LARGEST_BODY:
            return self.rfile.read(size)
        for _ in range(
            min(size // MIB, 256)
        ):  # a sender sees the refusal only after it could send its file
            self.rfile.read(MIB)
        raise Refused(413, f"{size} bytes are more than the {LARGEST_BODY} that a request may have")

    def reply(self, path: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        if path not in METHODS:
            raise Refused(404, f"there is no {path}; choose {', '.join(METHODS)}")
        if self.command != METHODS[path]:
            raise Refused(405, f"{path} takes {METHODS[path]}, not {self.command}")
        whisper = self.server.whisper
        if path != "/v1/audio/transcriptions":
            return 503 if path == "/health" and whisper is None else 200, self.server.health(), {}
        if whisper is None:
            raise Refused(503, "no model is loaded")
        fields = form(self.headers.get("Content-Type", ""), body)
        text = {
            name: value.decode(errors="replace") for name, value in fields.items() if name != "file"
        }
        shape = text.get("response_format", "json")
        language = text.get("language") or self.server.asked.language
        if shape not in ("json", "verbose_json", "text"):
            raise Refused(
                400, f"response_format {shape!r} is unknown; choose json, verbose_json or text"
            )
        if language not in (None, *whisper.model.supported_languages):
            raise Refused(400, f"this model does not know the language {language!r}")
        if text.get("temperature", "").strip("0."):
            raise Refused(400, "this server decodes at temperature 0 only")
        audio = samples(fields["file"])
        answer, service_s = self.server.queue.submit(whisper.transcribe, audio, language).result()
        self.server.counts["requests"] += 1
        shapes = {
            "verbose_json": answer,
            "json": {"text": answer["text"]},
            "text": answer["text"] + "\n",
        }
        return 200, shapes[shape], {"openai-processing-ms": f"{1000 * service_s:.1f}"}

    def answer(self, status: int, body: Any, headers: dict[str, str]) -> None:
        plain = isinstance(body, str)
        content = (body if plain else json.dumps(body)).encode()
        headers["Content-Type"] = "text/plain; charset=utf-8" if plain else "application/json"
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else content)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Ours and the standard library's refusals, in OpenAI's form."""
        error = {"message": message or explain, "type": KINDS.get(code, "invalid_request_error")}
        allow = {"Allow": METHODS[self.path.partition("?")[0]]} if code == 405 else {}
        self.answer(
            code,
            {"error": {**error, "param": None, "code": None}},
            {"Connection": "close", **allow},
        )


def form(content_type: str, body: bytes) -> dict[str, bytes]:
    """The fields of a multipart form, a file's bytes untouched."""
    message = message_from_bytes(
        b"Content-Type: %s\r\n\r\n%s" % (content_type.encode("latin-1"), body)
    )
    parts: Any = (
        message.get_payload() if message.get_content_type() == "multipart/form-data" else ()
    )
    if message.defects or not message.is_multipart():
        raise Refused(400, "send a whole multipart/form-data body")
    fields = {
        p.get_param("name", None, "content-disposition"): p.get_payload(decode=True) for p in parts
    }
    if "file" not in fields:
        raise Refused(400, "the form lacks its field 'file', the audio")
    return fields


def samples(content: bytes) -> Any:
    """A file's sound: float32 at 16 kHz."""
    try:
        audio = faster_whisper.decode_audio(io.BytesIO(content))
    except (FFmpegError, IndexError) as error:  # IndexError: a container without a sound track
        raise Refused(400, f"the file is not audio that FFmpeg can read: {error}") from error
    if not audio.size:
        raise Refused(400, "the file holds no sound")
    return audio


def touched(size: int, device: str) -> Any:
    """That many bytes of the device's memory, written to: what else this process holds."""
    host = np.ones(size, dtype=np.int8)
    if device == "cpu" or not size:
        return host
    return ctranslate2.StorageView.from_array(host).to_device(ctranslate2.Device.cuda)


def memory_ran_out(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or bool(MEMORY_WORDS.search(str(error)))


def log(line: str) -> None:
    print(f"transcriber: {line}", file=sys.stderr, flush=True)


def options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("transcriber", description="One Whisper model on 127.0.0.1.")
    parser.add_argument(
        "--model", type=Path, required=True, help="folder of a CTranslate2 Whisper model"
    )
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one")
    parser.add_argument("--device", choices=("cpu", "cuda"), required=True)
    parser.add_argument("--compute-type", default="int8")
    parser.add_argument("--language", default="en", help="where a request names none")
    parser.add_argument("--max-new-tokens", type=int, choices=range(4, 225), metavar="4..224")
    parser.add_argument(
        "--fixed-output", action="store_true", help="exactly --max-new-tokens each time"
    )
    for name, default in (("beam-size", 5), ("device-index", 0), ("threads", 0), ("extra-mib", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args(argv)
    if missing := {"config.json", "model.bin", "tokenizer.json"} - {
        p.name for p in asked.model.glob("*")
    }:
        parser.error(
            f"{asked.model} has no {', '.join(sorted(missing))}; it is no CTranslate2 Whisper model"
        )
    if asked.fixed_output and not asked.max_new_tokens:
        parser.error("--fixed-output needs --max-new-tokens")
    if asked.extra_mib and asked.device_index:
        parser.error(
            "--extra-mib goes to index 0; choose the card with CUDA_VISIBLE_DEVICES instead"
        )
    return asked


def main(argv: Sequence[str] | None = None) -> int:
    asked = options(argv)
    if asked.device == "cuda" and not ctranslate2.get_cuda_device_count():
        log("no CUDA device for --device cuda; check the driver and CUDA_VISIBLE_DEVICES")
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    with ThreadPoolExecutor(1) as queue, Server(asked, queue) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            server.whisper = queue.submit(Whisper, asked).result()
            gc.freeze()  # decoding audio collects garbage each time; what is loaded by now is none
            what = f"({asked.model.name}, {asked.device}, {asked.compute_type})"
            print(f"transcriber ready on http://127.0.0.1:{server.server_port} {what}", flush=True)
            threading.Event().wait()
        except (RuntimeError, MemoryError) as error:
            if memory_ran_out(error):
                log(f"out of memory while loading {asked.model}: {error!r}")
            raise
        finally:
            server.shutdown()
            queue.shutdown(cancel_futures=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
