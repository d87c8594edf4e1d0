"""This module runs one load generator on one trace, in a process of its own.

python -m objectives.rig.generators ours|sleep URL TRACE
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from objectives.apis.api import Endpoint
from objectives.apis.completions import Completions
from objectives.engines.vllm.kv_cache import usage
from objectives.errors import SetupError
from objectives.load.generator import Generator as OurGenerator
from objectives.load.open_loop import drive
from objectives.traffic.clips import read_clips
from objectives.traffic.workload import Request

Generator = Literal["ours", "vllm", "sleep"]
GENERATORS: tuple[Generator, ...] = ("ours", "vllm", "sleep")
TOKENS = 64  # of every answer
# This is vLLM's `vllm bench serve`. Its CPU time counts from its first request to its last answer,
# imports left out, and goes to the file that is the first argument.
VLLM_BENCH = """
import json, sys, time, vllm.benchmarks.serve as serve
from vllm.utils.argparse_utils import FlexibleArgumentParser
cpu, send, after, began = sys.argv.pop(1), serve.get_request, serve.fetch_spec_decode_metrics, []
async def timed_send(*args, **kwargs):
    began.append(time.process_time())
    async for request in send(*args, **kwargs):
        yield request
async def timed_after(*args, **kwargs):
    if began:
        with open(cpu, "w") as file:
            json.dump({"cpu_s": time.process_time() - began[0]}, file)
    return await after(*args, **kwargs)
serve.get_request, serve.fetch_spec_decode_metrics = timed_send, timed_after
parser = FlexibleArgumentParser()
serve.add_cli_args(parser)
serve.main(parser.parse_args())
"""


@dataclass(frozen=True, slots=True)
class Sent:
    """This is what one generator sent in one run, and how late its requests left.

    Args:
        generator: Its name; `sleep` only sleeps until each request's time, and so shows what
            this machine does to anybody.
        streams: How many streams were open at once.
        tokens: The number of tokens that were streamed.
        cpu_s: The CPU time of the generator's process, seconds.
        failed: The number of requests without an answer.
        late_ms: How late the server saw each request arrive, ms beyond the least late of the run.
    """

    generator: Generator
    streams: int
    tokens: int
    cpu_s: float
    failed: int
    late_ms: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class BenchTrace:
    """A bench trace is what every generator gets: requests for one server.

    Args:
        streams: How many streams are open at once.
        requests: The requests of the trace.
        url: The server.
        file: The same trace as a file, as vLLM's `timed_trace`.
    """

    streams: int
    requests: Sequence[Request]
    url: str
    file: Path


def run_generator(
    generator: Generator, bench: BenchTrace, vllm: Path | None, tokenizer: Path
) -> Sent:
    """Run one generator on one trace, in a process of its own.

    Raises:
        SetupError: The process fails.
    """
    requests, due_s = bench.requests, [r.at_s for r in bench.requests]
    if generator == "vllm":
        cpu_s, failed = _run_vllm(bench, vllm, tokenizer)
    else:
        program = [sys.executable, "-m", "objectives.rig.generators"]
        answer = json.loads(_output([*program, generator, bench.url, str(bench.file)]))
        cpu_s, failed = answer["cpu_s"], answer["failed"]
    if generator == "sleep":
        at_s = answer["woke_s"]
    else:
        with urllib.request.urlopen(f"{bench.url}/arrivals", timeout=10) as page:  # noqa: S310
            at_s = json.load(page)
    late_ms = _late_ms(at_s, due_s)
    return Sent(generator, bench.streams, len(requests) * TOKENS, cpu_s, failed, late_ms)


def _run_vllm(bench: BenchTrace, vllm: Path | None, tokenizer: Path) -> tuple[float, int]:
    """Run vLLM's generator; return its CPU seconds and the number of failed requests."""
    cpu, result = bench.file.with_name("cpu.json"), bench.file.with_name("result.json")
    flags = {
        "backend": "vllm",
        "base-url": bench.url,
        "endpoint": "/v1/completions",
        "model": "m",
        "served-model-name": "m",
        "tokenizer": tokenizer,
        "dataset-name": "timed_trace",
        "dataset-path": bench.file,
        "num-prompts": len(bench.requests),
        "ready-check-timeout-sec": 0,
        "temperature": 0,
        "result-filename": result,
    }
    cpu.unlink(missing_ok=True)  # an earlier run's
    words = [str(part) for name, value in flags.items() for part in (f"--{name}", value)]
    _output([str(vllm), "-c", VLLM_BENCH, str(cpu), *words, "--disable-tqdm", "--save-result"])
    completed = int(json.loads(result.read_text())["completed"])
    return float(json.loads(cpu.read_text())["cpu_s"]), len(bench.requests) - completed


def _output(argv: Sequence[str]) -> str:
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=600, check=False)
    if ran.returncode:
        raise SetupError(f"{argv[0]} ended with {ran.returncode}: {ran.stderr[-2000:]}")
    return ran.stdout


def _late_ms(at_s: Sequence[float], due_s: Sequence[float]) -> tuple[float, ...]:
    """Return how long after their due times requests came, beyond the least late.

    >>> _late_ms([10.0, 11.25], [0.0, 1.0])
    (0.0, 250.0)
    """
    late = [a - d for a, d in zip(sorted(at_s), sorted(due_s), strict=False)]
    return tuple(round(1000 * (x - min(late)), 3) for x in late)


def ours(url: str, requests: Sequence[Request]) -> dict[str, Any]:
    """Drive a trace as a trial does; return the CPU seconds of what sends it, and failures."""
    ends, clips = (
        {"llm": Endpoint(url, Completions("m", 2048), "/metrics", usage)},
        read_clips("assistant"),
    )
    with OurGenerator() as generator:
        window = drive(generator, ends, clips, requests, timeout_s=60.0, broken=lambda: None)
    return {"cpu_s": window.cpu_s, "failed": sum(r.error is not None for r in window.replies)}


def sleep(requests: Sequence[Request]) -> dict[str, Any]:
    """Sleep until each request's time; return CPU seconds and when the thread woke."""
    never, start_s, woke_s = threading.Event(), time.monotonic() + 0.2, []
    began = time.process_time()
    for r in requests:
        never.wait(max(0.0, start_s + r.at_s - time.monotonic()))
        woke_s.append(time.monotonic())
    return {"cpu_s": time.process_time() - began, "failed": 0, "woke_s": woke_s}


def main() -> None:
    """Run one generator here, and print its figures as JSON."""
    parser = argparse.ArgumentParser(
        description="One run of one generator, for scripts/bench_load.py."
    )
    parser.add_argument("generator", choices=("ours", "sleep"))
    parser.add_argument("url")
    parser.add_argument("trace", type=Path, help="as vLLM's timed_trace")
    arguments = parser.parse_args()
    lines = [json.loads(line) for line in arguments.trace.read_text().splitlines()]
    requests = [
        Request("llm", x["timestamp"], x["input_length"], x["output_length"], seed=n)
        for n, x in enumerate(lines)
    ]
    is_ours = arguments.generator == "ours"
    print(json.dumps(ours(arguments.url, requests) if is_ours else sleep(requests)))


if __name__ == "__main__":
    main()
