"""The speech server runs here with a stand-in for its model, and as a process with weights."""

import argparse
import json
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pytest

from objectives import transcriber
from objectives.traffic.clips import read_clips

REPOSITORY = Path(__file__).resolve().parents[2]
WEIGHTS = REPOSITORY / ".servers/models/whisper"
SERVER = REPOSITORY / "objectives/transcriber.py"
CLIPS = read_clips("assistant")
SOUND = {"file": ("clip.flac", CLIPS[0].audio, "audio/flac")}
TRANSCRIPTIONS = "/v1/audio/transcriptions"


class StandIn:
    """A stand-in for a model has a mood: the error that its next transcription raises."""

    def __init__(self):
        self.model = SimpleNamespace(supported_languages=["en"])
        self.facts = {"device_used": "cpu"}
        self.mood = None

    def transcribe(self, audio, language):
        if self.mood is not None:
            raise self.mood
        return {"text": f"{len(audio) / 16_000:.1f} s in {language}", "segments": []}, 0.25


@contextmanager
def answering(whisper) -> Iterator[httpx.Client]:
    arguments = argparse.Namespace(port=0, model=Path("base"), language="en")
    with ThreadPoolExecutor(1) as queue, transcriber.TranscriberServer(arguments, queue) as server:
        server.whisper = whisper
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        with httpx.Client(base_url=f"http://127.0.0.1:{server.server_port}", timeout=30) as client:
            yield client
        server.shutdown()
        thread.join()


@contextmanager
def running(*options: str, log: Path) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    command = [
        sys.executable,
        str(SERVER),
        "--port",
        "0",
        "--device",
        "cpu",
        "--threads",
        "2",
        *options,
    ]
    with (
        log.open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("transcriber ready on http://127.0.0.1:"), log.read_text()
            with httpx.Client(base_url=line.split()[3], timeout=60) as client:
                yield process, client
        finally:
            process.kill()


def error_of(answer: httpx.Response, status: int) -> dict:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


def test_a_server_without_its_model_is_not_healthy():
    with answering(None) as client:
        health = client.get("/health")
        assert (health.status_code, health.json()["status"]) == (503, "loading")
        assert (
            error_of(client.post(TRANSCRIPTIONS, files=SOUND), 503)["type"] == "service_unavailable"
        )


class Slow(StandIn):
    """A stand-in that notes what it transcribes, and waits for a word before it answers."""

    def __init__(self):
        super().__init__()
        self.begun, self.go_on, self.lengths = threading.Event(), threading.Event(), []

    def transcribe(self, audio, language):
        self.lengths.append(len(audio))
        self.begun.set()
        assert self.go_on.wait(20)
        return super().transcribe(audio, language)


def test_a_queued_request_whose_client_hung_up_takes_none_of_the_models_time(capsys):
    whisper = Slow()
    with answering(whisper) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, TRANSCRIPTIONS, files=SOUND)
        assert whisper.begun.wait(20)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(client.base_url.join(TRANSCRIPTIONS), files=SOUND, timeout=0.2)
        whisper.go_on.set()
        assert first.result().status_code == 200
        assert client.post(TRANSCRIPTIONS, files=SOUND).status_code == 200
        assert client.get("/health").json()["requests"] == 2
    assert len(whisper.lengths) == 2
    assert "hung up" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("shape", "content"),
    [
        ("json", {"text": "2.1 s in en"}),
        ("verbose_json", {"text": "2.1 s in en", "segments": []}),
        ("text", "2.1 s in en\n"),
    ],
)
def test_answers_come_in_the_form_asked_for(shape, content):
    with answering(StandIn()) as client:
        answer = client.post(
            TRANSCRIPTIONS, files=SOUND, data={"model": "m", "response_format": shape}
        )
    assert answer.status_code == 200
    assert (answer.text if shape == "text" else answer.json()) == content
    assert answer.headers["openai-processing-ms"] == "250.0"


def test_one_connection_carries_many_requests():
    with answering(StandIn()) as client:
        ports = set()
        for _ in range(3):
            with client.stream("POST", TRANSCRIPTIONS, files=SOUND) as answer:
                ports.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
                answer.read()
    assert len(ports) == 1


@pytest.mark.parametrize(
    ("request_of", "status", "word"),
    [
        ({"method": "GET", "url": "/v1/models"}, 404, "/v1/models"),
        ({"method": "GET", "url": TRANSCRIPTIONS}, 405, "POST"),
        ({"method": "POST", "url": "/health", "content": b"x"}, 405, "GET"),
        ({"method": "BREW", "url": "/health"}, 501, "BREW"),
        ({"method": "POST", "url": TRANSCRIPTIONS, "content": b"RIFF"}, 400, "multipart"),
        ({"method": "POST", "url": TRANSCRIPTIONS, "files": {"sound": b"RIFF"}}, 400, "'file'"),
        (
            {"method": "POST", "url": TRANSCRIPTIONS, "files": {"file": b"no audio"}},
            400,
            "not audio",
        ),
        ({"method": "POST", "url": TRANSCRIPTIONS, "files": {"file": b""}}, 400, "not audio"),
        ({"method": "POST", "url": TRANSCRIPTIONS, "content": iter([b"x"])}, 411, "Content-Length"),
        (
            {"method": "POST", "url": TRANSCRIPTIONS, "content": bytes(26 * 2**20)},
            413,
            "limit|more than",
        ),
        ({"files": SOUND, "data": {"response_format": "srt"}}, 400, "srt"),
        ({"files": SOUND, "data": {"language": "tlh"}}, 400, "tlh"),
        ({"files": SOUND, "data": {"temperature": "0.4"}}, 400, "temperature 0"),
    ],
    ids=lambda value: str(value) if isinstance(value, int | str) else "",
)
def test_a_bad_request_is_told_what_is_wrong(request_of, status, word):
    with answering(StandIn()) as client:
        answer = client.request(**{"method": "POST", "url": TRANSCRIPTIONS, **request_of})
        error = error_of(answer, status)
        assert error["type"] == "invalid_request_error"
        assert any(part in error["message"] for part in word.split("|"))
        assert client.post(TRANSCRIPTIONS, files=SOUND).status_code == 200


def test_a_wrong_method_names_the_right_one():
    with answering(StandIn()) as client:
        assert client.delete("/health").headers["allow"] == "GET"
        assert client.head("/health").status_code == 405


def test_a_form_that_is_cut_off_is_refused():
    with answering(StandIn()) as client:
        whole = client.build_request("POST", TRANSCRIPTIONS, files=SOUND)
        content = whole.read()[:-10]
        answer = client.post(
            TRANSCRIPTIONS, content=content, headers={"content-type": whole.headers["content-type"]}
        )
        error_of(answer, 400)


def test_what_is_not_http_gets_an_answer_too():
    with (
        answering(StandIn()) as client,
        closing(socket.create_connection((client.base_url.host, client.base_url.port), 10)) as raw,
    ):
        raw.sendall(b"GET /health\x00 HTTP/nine\r\n\r\n")
        assert b'"type": "invalid_request_error"' in raw.makefile("rb").read()


@pytest.mark.parametrize(
    "mood",
    [
        RuntimeError("CUDA failed with error out of memory"),
        RuntimeError("cuBLAS failed with status CUBLAS_STATUS_ALLOC_FAILED"),
        RuntimeError("mkl_malloc: failed to allocate memory"),
        MemoryError(),
    ],
)
def test_out_of_memory_is_answered_as_such_and_logged(mood, capsys):
    whisper = StandIn()
    with answering(whisper) as client:
        whisper.mood = mood
        error = error_of(client.post(TRANSCRIPTIONS, files=SOUND), 507)
        assert error["type"] == "out_of_memory"
        assert "out of memory" in error["message"]
        assert client.get("/metrics").json()["oom_events"] == 1
        whisper.mood = None
        assert client.post(TRANSCRIPTIONS, files=SOUND).status_code == 200
    assert "transcriber: out of memory" in capsys.readouterr().err


def test_another_failure_is_not_called_out_of_memory(capsys):
    whisper = StandIn()
    whisper.mood = RuntimeError("Library libcublas.so.12 is not found")
    with answering(whisper) as client:
        assert error_of(client.post(TRANSCRIPTIONS, files=SOUND), 500)["type"] == "server_error"
    log = capsys.readouterr().err
    assert "libcublas" in log
    assert "out of memory" not in log


@pytest.mark.parametrize("size", [0, 1, 7, 500])
def test_a_files_bytes_arrive_unchanged(size):
    rng = np.random.default_rng(size)
    for _ in range(50):
        content = bytes(rng.choice(np.frombuffer(b"\r\n-ab\x00\xff \t", np.uint8), size))
        request = httpx.Request(
            "POST", "http://x", files={"file": ("é.wav", content)}, data={"model": "m"}
        )
        body = request.read()
        fields = transcriber.form(request.headers["content-type"], body)
        assert fields == {"file": content, "model": b"m"}


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--model", "no/such", "--device", "cpu"], "no/such has no config.json"),
        (["--model", "{folder}", "--device", "cpu", "--fixed-output"], "--max-new-tokens"),
        (["--model", "{folder}", "--device", "tpu"], "invalid choice"),
    ],
)
def test_bad_arguments_exit_2(options, word, tmp_path, capsys):
    for name in ("config.json", "model.bin", "tokenizer.json"):
        (tmp_path / name).touch()
    argv = [option.format(folder=tmp_path) for option in options]
    with pytest.raises(SystemExit, match="2"):
        transcriber.main([*argv, "--port", "0"])
    assert word in capsys.readouterr().err


@pytest.mark.skipif(
    transcriber.ctranslate2.get_cuda_device_count() > 0, reason="this machine has a GPU"
)
def test_without_a_gpu_cuda_is_refused_at_the_start(tmp_path, capsys):
    for name in ("config.json", "model.bin", "tokenizer.json"):
        (tmp_path / name).touch()
    assert transcriber.main(["--model", str(tmp_path), "--port", "0", "--device", "cuda"]) == 1
    assert "no CUDA device" in capsys.readouterr().err


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Start the speech server with a real model, once for the tests that need nothing else."""
    log = tmp_path_factory.mktemp("stt") / "log"
    with running("--model", str(WEIGHTS / "tiny.en"), log=log) as (process, client):
        yield process, client, log


class TestLive:
    """Checks the speech server with a real model."""

    pytestmark = pytest.mark.live

    def test_it_hears_what_was_said_and_the_same_each_time(self, server):
        client = server[1]
        health = client.get("/health").json()
        assert (health["status"], health["model"], health["device_used"]) == (
            "ready",
            "tiny.en",
            "cpu",
        )
        assert health["compute_type_used"].startswith("int8")
        assert health["load_s"] > 0
        texts = [client.post(TRANSCRIPTIONS, files=SOUND).json()["text"] for _ in range(2)]
        assert texts[0] == texts[1]
        assert "timer" in texts[0]

    def test_requests_queue_and_all_are_answered(self, server):
        client = server[1]
        before = json.loads(client.get("/metrics").text)["requests"]
        with ThreadPoolExecutor(8) as callers:
            answers = callers.map(
                lambda clip: client.post(TRANSCRIPTIONS, files={"file": clip.audio}), CLIPS[:8]
            )
            assert {answer.status_code for answer in answers} == {200}
        assert json.loads(client.get("/metrics").text)["requests"] == before + 8

    def test_a_real_lack_of_memory_is_answered_and_the_server_lives_on_until_it_is_ended(
        self, server
    ):
        process, client, log = server
        status = Path(f"/proc/{process.pid}/status").read_text()
        size_kib = int(status.partition("VmSize:")[2].split()[0])
        resource.prlimit(process.pid, resource.RLIMIT_AS, ((size_kib << 10) + (24 << 20), -1))
        answer = client.post(TRANSCRIPTIONS, files=SOUND)
        resource.prlimit(process.pid, resource.RLIMIT_AS, (-1, -1))
        assert error_of(answer, 507)["type"] == "out_of_memory"
        assert client.post(TRANSCRIPTIONS, files=SOUND).status_code == 200
        assert "out of memory" in log.read_text()
        process.terminate()
        assert process.wait(timeout=30) == 0

    def test_a_fixed_output_has_exactly_that_many_tokens_and_extra_memory_is_held(self, tmp_path):
        options = ("--fixed-output", "--max-new-tokens", "17", "--extra-mib", "400")
        model = ("--model", str(WEIGHTS / "tiny.en"))
        with running(*model, *options, log=tmp_path / "log") as (process, client):
            status = Path(f"/proc/{process.pid}/status").read_text()
            assert int(status.partition("VmRSS:")[2].split()[0]) > 400 * 1024
            for clip in CLIPS[:3]:
                answer = client.post(
                    TRANSCRIPTIONS,
                    files={"file": clip.audio},
                    data={"response_format": "verbose_json"},
                )
                assert [len(segment["tokens"]) for segment in answer.json()["segments"]] == [17]

    def test_no_memory_for_the_model_ends_the_server_with_the_reason(self):
        command = [
            sys.executable,
            str(SERVER),
            "--port",
            "0",
            "--device",
            "cpu",
            "--extra-mib",
            "4000",
        ]
        done = subprocess.run(
            [*command, "--model", str(WEIGHTS / "tiny.en")],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30)),
        )
        assert done.returncode == 1
        assert "out of memory while loading" in done.stderr
        assert "Traceback" in done.stderr
