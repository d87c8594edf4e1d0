"""What runs now is found, told, and becomes a spec that the study takes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml
from fake_servers.fake_http import free_port
from fake_servers.fakes import FAKE
from processes.commands import run_script

from objectives.devices.device import Identity, Occupant
from study.quick import processes
from study.quick.pressure import Pressure, pressure
from study.quick.words import division, of_cache
from study.spec.load import load

CARD = Identity("Card", "GPU-1", 12_000.0, "580.1", "13.0")
# `fakes.py` by another name, with a page of its own for the metrics
SERVER = f"""
import sys
sys.path.append({str(FAKE.parents[1])!r})
from fake_servers import fakes
fakes.METRICS = PAGE
sys.argv[1:] = sys.argv[-2:]  # its port
fakes.main()
"""
METRICS = (
    'vllm:cache_config_info{{kv_cache_size_tokens="1600"}} 1\n'
    "vllm:kv_cache_usage_perc 0.5\nvllm:num_preemptions_total 3\nvllm:num_requests_waiting 2\n"
)


@contextmanager
def serving(folder: Path, *words: str) -> Iterator[None]:
    line = [sys.executable, *words]
    with subprocess.Popen(line, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert is_ready(process)
            yield
        finally:
            process.kill()


def is_ready(process: subprocess.Popen[str]) -> bool:
    assert process.stdout is not None
    return any("startup complete" in line for line in process.stdout)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a model, a Whisper, and servers that look like vLLM and Whisper."""
    package = tmp_path / "vllm" / "entrypoints"
    package.mkdir(parents=True)
    for part in (package.parent, package):
        (part / "__init__.py").write_text("")
    (package / "api_server.py").write_text(f"PAGE = {METRICS!r}\n{SERVER}")
    (tmp_path / "whisper_server.py").write_text(f'PAGE = ""\n{SERVER}')
    (tmp_path / "models/llm").mkdir(parents=True)
    (tmp_path / "models/llm/config.json").write_text('{"vocab_size": 2048}')
    for size in ("tiny", "base"):
        (tmp_path / f"models/whisper/{size}").mkdir(parents=True)
        (tmp_path / f"models/whisper/{size}/model.bin").write_text("x")
    return tmp_path


def only_below(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let other processes of this machine, such as other tests' servers, be unseen."""
    every = processes._serving
    monkeypatch.setattr(
        processes, "_serving", lambda wanted: [r for r in every(wanted) if r.folder == folder]
    )


def test_it_tells_who_holds_the_memory_whether_the_cache_was_pressed_and_writes_a_spec(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_below(folder, monkeypatch)
    ports = [("--port", str(free_port())) for _ in range(2)]
    model = ("--model", "models/llm", "--gpu-memory-utilization", "0.45", *ports[0])
    speech = ("whisper_server.py", "--model", "models/whisper/base", *ports[1])
    with ExitStack() as stack:
        stack.enter_context(serving(folder, "-m", "vllm.entrypoints.api_server", *model))
        stack.enter_context(serving(folder, *speech))
        line = ("quick.py", "--device", "cpu", "--watch", "1s")
        began = time.monotonic()
        ran = run_script(*line, cwd=folder)
        assert time.monotonic() - began < 60
        again = run_script(*line, cwd=folder)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "vLLM with " in ran.stdout and "allowed 45 %" in ran.stdout
    assert "KV cache of 1,600 tokens: pressed: 3 times" in ran.stdout
    assert "at most 50 % full" in ran.stdout and "up to 2 requests waiting" in ran.stdout
    assert " left\n" in ran.stdout
    spec = yaml.safe_load((folder / "my_gpu.yaml").read_text())
    assert spec["baseline"] == {"vllm_memory_util": 0.45, "whisper_model_size": "base"}
    assert spec["services"]["llm"]["model"] == str(folder / "models/llm")
    load(folder / "my_gpu.yaml")
    assert "no spec written: my_gpu.yaml exists and stays as it is" in again.stdout
    assert again.returncode == 0 and " left\n" in again.stdout


def test_a_size_that_is_given_is_not_told_of_a_server_that_names_its_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_below(folder, monkeypatch)
    speech = ("whisper_server.py", "--model", "models/whisper/base", "--port", str(free_port()))
    with serving(folder, *speech):
        ran = run_script("quick.py", "--device", "cpu", "--size", "WHISPER_MODEL=tiny", cwd=folder)
    assert ", base, " in ran.stdout and ", tiny, " not in ran.stdout


def test_where_nothing_is_seen_it_says_so_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_below(tmp_path, monkeypatch)
    ran = run_script("quick.py", "--device", "cpu", cwd=tmp_path)
    assert ran.returncode == 0 and not any(tmp_path.iterdir())
    assert "no spec written: no LLM servers and no speech servers seen" in ran.stdout
    assert "cp study/specs/gpu.yaml" in ran.stdout


def test_of_a_chain_only_the_server_itself_counts(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_below(folder, monkeypatch)
    server = [sys.executable, "-m", "vllm.entrypoints.api_server", "--port", str(free_port())]
    line = ["timeout", "60", *server]
    with subprocess.Popen(line, cwd=folder, stdout=subprocess.PIPE, text=True) as around:
        assert is_ready(around)
        (process,) = processes.llm_processes()
        around.terminate()
    assert around.pid not in process.pids and process.ports == (int(server[-1]),)


def test_memory_that_no_driver_tells_is_no_zero() -> None:
    occupants = [Occupant(1, "vllm", None, None), Occupant(2, "game", None, None)]
    lines = division(CARD, 3000.0, occupants, {"LLM": [1]})
    assert "9,000 MiB  75 % in use; this driver does not tell whose" in lines[1]
    assert not [line for line in lines if " 0 MiB" in line]


def test_each_holder_has_a_line_and_many_small_ones_share_one() -> None:
    others = [Occupant(n, f"game {n}", 100.0 * n, None) for n in range(2, 9)]
    lines = division(CARD, 3000.0, [Occupant(1, "vllm", 5000.0, None), *others], {"LLM": [1]})
    assert " ".join(lines[1].split()) == "5,000 MiB 42 % LLM"
    assert "other: game 8 (process 8)" in lines[2] and lines[-2].endswith("2 others")
    assert " ".join(lines[-1].split()) == "3,000 MiB 25 % left"


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (None, "/metrics does not answer"),
        ("vllm:num_preemptions_total 0\nvllm:kv_cache_usage_perc 0.1", "never pressed"),
        ("vllm:num_preemptions_total 2", "pressed: 2 times"),
        ("other 1", "whether it was ever pressed is not told; how full it is, is not told"),
    ],
)
def test_what_a_page_does_not_say_is_not_told(page: str | None, words: str) -> None:
    assert words in of_cache(8000, pressure(8000, 0.02, lambda _: page, look_s=0.01))


def test_the_fullest_look_counts() -> None:
    pages = iter(f"vllm:kv_cache_usage_perc 0.{n}" for n in (2, 7, 3, *[1] * 100))
    looked = pressure(8000, 0.1, lambda _: next(pages), look_s=0.01)
    assert isinstance(looked, Pressure) and looked.highest_pct == pytest.approx(70.0)
