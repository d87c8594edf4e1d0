"""The speech server is one file, for it also runs where only faster-whisper is installed.

``OTHER_PYTHON objectives/transcriber.py --model DIR ...`` serves one Whisper model behind OpenAI's
/v1/audio/transcriptions, on loopback only. Requests queue for the model, first come first served.
/health is 200 only after an inference on the device of ``--device``. Out-of-memory is answered with
507; nothing falls back to the CPU.
"""

from __future__ import annotations

import argparse
import gc
import io
import json
import re
import select
import signal
import socket
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
ERROR_TYPES = {500: "server_error", 503: "service_unavailable", 507: "out_of_memory"}
_MIB = 2**20
LARGEST_BODY = 25 * _MIB


class Refused(Exception):
    """A request is answered with an error.

    Args:
        status: The HTTP status of the answer.
        message: The error in words.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Whisper:
    """A Whisper model is loaded and warm, and decodes the same way each time.

    It decodes at temperature 0 and carries no context from one request to the next.

    Args:
        arguments: The command line, with the model's folder, the device and how to decode.

    Attributes:
        facts: What /health tells of it: the device, the compute type and two times in seconds.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        start = time.perf_counter()
        self.ballast = hold_memory(arguments.extra_mib * _MIB, arguments.device)
        where = (
            arguments.device,
            arguments.device_index,
            arguments.compute_type,
            arguments.threads,
        )
        self.model = faster_whisper.WhisperModel(
            str(arguments.model), *where, local_files_only=True
        )
        self.decoding: dict[str, Any] = {"temperature": 0.0, "condition_on_previous_text": False}
        self.decoding |= {
            "without_timestamps": True,
            "vad_filter": False,
            "beam_size": arguments.beam_size,
        }
        if arguments.max_new_tokens:
            # CTranslate2 writes half of max_length, which is prompt + max_new_tokens
            prompt = 4 if self.model.model.is_multilingual else 2
            self.decoding["max_new_tokens"] = 2 * arguments.max_new_tokens - prompt
        if arguments.fixed_output:
            # neither an end of text nor a timestamp ends it early, and nothing is dropped
            token_id = self.model.hf_tokenizer.token_to_id
            first, last = token_id("<|endoftext|>"), token_id("<|notimestamps|>")
            # 1,501 timestamps follow: 0.00 to 30.00 s, each 0.02 s
            ends = range(first, last + 1502)
            limits = ("no_speech_threshold", "log_prob_threshold", "compression_ratio_threshold")
            self.decoding |= {"suppress_tokens": list(ends), **dict.fromkeys(limits)}
        loaded = time.perf_counter()
        self.transcribe(np.zeros(16_000, dtype=np.float32), arguments.language)
        engine = self.model.model
        facts = {"device_used": engine.device, "compute_type_used": engine.compute_type}
        self.facts = {**facts, "load_s": loaded - start, "warmup_s": time.perf_counter() - loaded}

    def transcribe(self, audio: Any, language: str | None) -> tuple[dict[str, Any], float]:
        """Return OpenAI's verbose answer, and the seconds of service."""
        start = time.perf_counter()
        parts, info = self.model.transcribe(audio, language=language, **self.decoding)
        segments = [
            {"start": s.start, "end": s.end, "text": s.text, "tokens": s.tokens} for s in parts
        ]
        text = "".join(segment["text"] for segment in segments).strip()
        answer = {
            "task": "transcribe",
            "language": info.language,
            "duration": info.duration,
            "text": text,
        }
        return {**answer, "segments": segments}, time.perf_counter() - start


class TranscriberServer(ThreadingHTTPServer):
    """A server answers each connection in a thread, and queues requests for its one model.

    Args:
        arguments: The options of the command line.
        queue: The one worker that all requests wait for.
    """

    request_queue_size = 128

    def __init__(self, arguments: argparse.Namespace, queue: ThreadPoolExecutor) -> None:
        super().__init__(("127.0.0.1", arguments.port), Handler)
        self.arguments, self.queue = arguments, queue
        self.whisper: Whisper | None = None
        self.counts = {"requests": 0, "oom_events": 0}

    def health(self) -> dict[str, Any]:
        """Return the state of the server, its arguments, its counts and its versions."""
        status = (
            {"status": "ready", **self.whisper.facts} if self.whisper else {"status": "loading"}
        )
        arguments = {
            **vars(self.arguments),
            "model": self.arguments.model.name,
            "model_path": str(self.arguments.model),
        }
        versions = {module.__name__: module.__version__ for module in (faster_whisper, ctranslate2)}
        return {**status, **arguments, **self.counts, "versions": versions}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log that a client hung up; show any other error as the standard library does."""
        if isinstance(error := sys.exc_info()[1], ConnectionError):  # no failure of this server
            return log(f"the client at {client_address} hung up: {error}")
        return super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """A handler answers the requests of one connection."""

    server: TranscriberServer
    protocol_version = "HTTP/1.1"
    timeout = 300  # seconds that a kept connection may idle
    # head and body leave together: apart, the second waits for the first's acknowledgement
    wbufsize = -1
    disable_nagle_algorithm = True

    def dispatch(self) -> None:
        """Answer one request, whatever its method and outcome."""
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
        """Read the body of a request.

        Raises:
            Refused: It has no length, or is too large.
        """
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not re.fullmatch("[0-9]{1,12}", length):
            raise Refused(411, "send the body with a Content-Length")
        if (size := int(length)) <= LARGEST_BODY:
            return self.rfile.read(size)
        # a sender sees the refusal only after it could send its file
        for _ in range(min(size // _MIB, 256)):
            self.rfile.read(_MIB)
        raise Refused(413, f"{size} bytes are more than the {LARGEST_BODY} that a request may have")

    def reply(self, path: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        """Return the status, the content and the headers of a request's answer.

        Raises:
            Refused: The request cannot be served.
        """
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
        language = text.get("language") or self.server.arguments.language
        if shape not in ("json", "verbose_json", "text"):
            raise Refused(
                400, f"response_format {shape!r} is unknown; choose json, verbose_json or text"
            )
        if language not in (None, *whisper.model.supported_languages):
            raise Refused(400, f"this model does not know the language {language!r}")
        if text.get("temperature", "").strip("0."):
            raise Refused(400, "this server decodes at temperature 0 only")
        audio = samples(fields["file"])
        answer, service_s = self.server.queue.submit(self.transcribed, audio, language).result()
        self.server.counts["requests"] += 1
        shapes = {
            "verbose_json": answer,
            "json": {"text": answer["text"]},
            "text": answer["text"] + "\n",
        }
        return 200, shapes[shape], {"openai-processing-ms": f"{1000 * service_s:.1f}"}

    def transcribed(self, audio: np.ndarray, language: str | None) -> tuple[dict[str, Any], float]:
        """Return what the model hears, and the time that it took, seconds.

        A client that has hung up while its request was queued takes none of the model's time.

        Raises:
            ConnectionAbortedError: It has hung up.
        """
        readable = select.poll()  # which knows no highest descriptor
        readable.register(self.connection, select.POLLIN)
        if readable.poll(0) and not self.connection.recv(1, socket.MSG_PEEK):
            raise ConnectionAbortedError("its request was still queued")
        whisper = self.server.whisper
        assert whisper is not None  # noqa: S101  a request waits for no model
        return whisper.transcribe(audio, language)

    def answer(self, status: int, body: Any, headers: dict[str, str]) -> None:
        """Send an answer: text as it is, anything else as JSON."""
        plain = isinstance(body, str)
        content = (body if plain else json.dumps(body)).encode()
        headers["Content-Type"] = "text/plain; charset=utf-8" if plain else "application/json"
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else content)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Send a refusal, ours or the standard library's, in OpenAI's form."""
        kind = ERROR_TYPES.get(code, "invalid_request_error")
        error = {"message": message or explain, "type": kind, "param": None, "code": None}
        allow = {"Allow": METHODS[self.path.partition("?")[0]]} if code == 405 else {}
        self.answer(code, {"error": error}, {"Connection": "close", **allow})


def form(content_type: str, body: bytes) -> dict[str, bytes]:
    """Return the fields of a multipart form, a file's bytes untouched.

    Raises:
        Refused: The form is not whole, or lacks its file.
    """
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
    """Return a file's sound as float32 at 16 kHz.

    Raises:
        Refused: The file is not audio, or holds no sound.
    """
    try:
        audio = faster_whisper.decode_audio(io.BytesIO(content))
    except (FFmpegError, IndexError) as error:  # IndexError: a container without a sound track
        raise Refused(400, f"the file is not audio that FFmpeg can read: {error}") from error
    if not audio.size:
        raise Refused(400, "the file holds no sound")
    return audio


def hold_memory(size: int, device: str) -> Any:
    """Return `size` bytes of the device's memory, written to; they are held as long as the value.

    They stand for what else the process holds in production.
    """
    host = np.ones(size, dtype=np.int8)
    if device == "cpu" or not size:
        return host
    return ctranslate2.StorageView.from_array(host).to_device(ctranslate2.Device.cuda)


def memory_ran_out(error: BaseException) -> bool:
    """Return whether an error of CTranslate2 or Python means that memory ran out."""
    return isinstance(error, MemoryError) or bool(MEMORY_WORDS.search(str(error)))


def log(line: str) -> None:
    """Write one line to the log, which is standard error."""
    print(f"transcriber: {line}", file=sys.stderr, flush=True)


def options(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the arguments; bad ones end the program with exit code 2."""
    parser = argparse.ArgumentParser("transcriber", description="One Whisper model on 127.0.0.1.")
    parser.add_argument(
        "--model", type=Path, required=True, help="folder of a CTranslate2 Whisper model"
    )
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one")
    parser.add_argument("--device", choices=("cpu", "cuda"), required=True)
    usual = {"cpu": "int8", "cuda": "float16"}
    parser.add_argument("--compute-type", help=f"default: {usual['cuda']}; on a CPU {usual['cpu']}")
    parser.add_argument("--language", default="en", help="where a request names none")
    parser.add_argument("--max-new-tokens", type=int, choices=range(4, 225), metavar="4..224")
    parser.add_argument(
        "--fixed-output", action="store_true", help="exactly --max-new-tokens each time"
    )
    for name, default in (("beam-size", 5), ("device-index", 0), ("threads", 0), ("extra-mib", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args(argv)
    arguments.compute_type = arguments.compute_type or usual[arguments.device]
    files = {path.name for path in arguments.model.glob("*")}
    if missing := {"config.json", "model.bin", "tokenizer.json"} - files:
        parser.error(
            f"{arguments.model} has no {', '.join(sorted(missing))}; "
            "it is no CTranslate2 Whisper model"
        )
    if arguments.fixed_output and not arguments.max_new_tokens:
        parser.error("--fixed-output needs --max-new-tokens")
    if arguments.extra_mib and arguments.device_index:
        parser.error(
            "--extra-mib goes to index 0; choose the card with CUDA_VISIBLE_DEVICES instead"
        )
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Load the model and serve until a signal; return the exit status."""
    arguments = options(argv)
    if arguments.device == "cuda" and not ctranslate2.get_cuda_device_count():
        log("no CUDA device for --device cuda; check the driver and CUDA_VISIBLE_DEVICES")
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    with ThreadPoolExecutor(1) as queue, TranscriberServer(arguments, queue) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            server.whisper = queue.submit(Whisper, arguments).result()
            gc.freeze()  # decoding audio collects garbage each time; what is loaded by now is none
            what = f"({arguments.model.name}, {arguments.device}, {arguments.compute_type})"
            print(f"transcriber ready on http://127.0.0.1:{server.server_port} {what}", flush=True)
            threading.Event().wait()
        except (RuntimeError, MemoryError) as error:
            if memory_ran_out(error):
                log(f"out of memory while loading {arguments.model}: {error!r}")
            raise
        finally:
            server.shutdown()
            queue.shutdown(cancel_futures=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
