"""Our load generator beside vLLM's own on one stub server: CPU time a streamed token, and how late requests leave."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Literal

from objectives.errors import SetupError
from objectives.load.client import Endpoints
from objectives.load.figures_of_replies import quantile
from objectives.load.open_loop import drive
from objectives.plain_data.atomic import write_atomic
from objectives.traffic.clips import read_clips
from objectives.traffic.workload import Request, Workload, trace

Generator = Literal["ours", "vllm", "sleep"]
GENERATORS: tuple[Generator, ...] = ("ours", "vllm", "sleep")
TOKENS, INTERVAL_S, PROMPT_TOKENS = 64, 0.1, 256
VLLM = """
import time, vllm.benchmarks.serve as serve
from vllm.utils.argparse_utils import FlexibleArgumentParser
send, after, began = serve.get_request, serve.fetch_spec_decode_metrics, []
async def timed_send(*given, **named):
    began.append(time.process_time())
    async for request in send(*given, **named):
        yield request
async def timed_after(*given, **named):
    if began:
        print("CPU", time.process_time() - began[0], flush=True)
    return await after(*given, **named)
serve.get_request, serve.fetch_spec_decode_metrics = timed_send, timed_after
parser = FlexibleArgumentParser()
serve.add_cli_args(parser)
serve.main(parser.parse_args())
"""  # vLLM's `vllm bench serve`; its CPU time counts from its first request to its last answer, imports left out


@dataclass(frozen=True, slots=True)
class Sent:
    """One run of one generator; `sleep` only sleeps until each request's time: what this machine does to anybody.

    streams: how many were open at once; cpu_s: of the generator's process; failed: requests without an answer
    late_ms: of each request, as the server saw it arrive, beyond the least late one of the run
    """

    generator: Generator
    streams: int
    tokens: int
    cpu_s: float
    failed: int
    late_ms: tuple[float, ...]


def compare(
    levels: Sequence[int],
    repeats: int,
    *,
    hold_s: float,
    vllm: Path | None,
    tokenizer: Path,
    tell: Callable[[Sent], None],
) -> list[Sent]:
    """Every generator at every number of streams, in turn, `repeats` times over, on the same trace.

    hold_s: how long requests keep arriving; vllm: an interpreter that has vLLM, None leaves it out
    tokenizer: any model's folder, for vLLM
    raises: SetupError where one of them is missing or fails
    """
    for needed in (vllm, tokenizer) if vllm is not None else ():
        if not needed.exists():
            raise SetupError(f"{needed} is not there; run python scripts/install_cpu_servers.py")
    found = []
    with TemporaryDirectory() as folder, _stub() as url:
        for repeat in range(repeats):
            for streams in levels:
                rate = streams / (TOKENS * INTERVAL_S)
                requests = trace(
                    Workload(seed=repeat, window_s=hold_s, llm_per_s=rate, stt_per_s=0), clips=1
                )
                file = Path(folder) / "trace.jsonl"
                file.write_text("".join(_line(n, r) for n, r in enumerate(requests)))
                order = [g for g in GENERATORS if vllm is not None or g != "vllm"]
                for generator in order if repeat % 2 else reversed(order):
                    found.append(_run(generator, streams, requests, url, file, vllm, tokenizer))
                    tell(found[-1])
    return found


def table(found: Sequence[Sent]) -> list[tuple[str, ...]]:
    """Medians over the repeats, a row for each number of streams and generator; the first row is the head."""
    rows: list[tuple[str, ...]] = [
        (
            "streams",
            "generator",
            "CPU µs/token",
            "of vLLM's",
            "late p50 ms",
            "p99 ms",
            "max ms",
            "failed",
        )
    ]
    for streams in dict.fromkeys(s.streams for s in found):
        cost = {
            name: median(s.cpu_s / s.tokens * 1e6 for s in runs)
            for name in ("ours", "vllm")
            if (runs := _of(found, streams, name))
        }
        for name in dict.fromkeys(
            s.generator for s in sorted(found, key=lambda s: GENERATORS.index(s.generator))
        ):
            runs = _of(found, streams, name)
            late = (
                f"{median(quantile(s.late_ms, q) or 0.0 for s in runs):.2f}"
                for q in (0.5, 0.99, 1.0)
            )
            cpu = f"{cost[name]:.1f}" if name in cost else "-"
            ratio = f"{cost[name] / cost['vllm']:.2f}" if name in cost and "vllm" in cost else "-"
            rows.append((str(streams), name, cpu, ratio, *late, str(sum(s.failed for s in runs))))
    return rows


def save(found: Sequence[Sent], path: Path) -> None:
    """Every run with all its figures, whole or not at all."""
    write_atomic(path, "".join(json.dumps(asdict(s)) + "\n" for s in found))


def _of(found: Sequence[Sent], streams: int, generator: str) -> list[Sent]:
    return [s for s in found if s.streams == streams and s.generator == generator]


def _line(number: int, request: Request) -> str:
    """One request of a trace as vLLM reads it: every 16 tokens of a prompt by a number of their own."""
    blocks = [number * PROMPT_TOKENS + n for n in range(PROMPT_TOKENS // 16)]
    asked = {
        "timestamp": request.at_s,
        "input_length": PROMPT_TOKENS,
        "output_length": TOKENS,
        "hash_ids": blocks,
    }
    return json.dumps(asked) + "\n"


@contextmanager
def _stub() -> Iterator[str]:
    argv = [
        sys.executable,
        "-m",
        "objectives.rig.stub_llm",
        "--interval-ms",
        str(1000 * INTERVAL_S),
    ]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None  # noqa: S101  a pipe was asked for
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.terminate()


def _run(
    generator: Generator,
    streams: int,
    requests: Sequence[Request],
    url: str,
    file: Path,
    vllm: Path | None,
    tokenizer: Path,
) -> Sent:
    """One generator on one trace, in a process of its own."""
    tokens, due_s = len(requests) * TOKENS, [r.at_s for r in requests]
    if generator == "vllm":
        result = file.with_name("result.json")
        flags = {
            "backend": "vllm", "base-url": url, "endpoint": "/v1/completions", "model": "m", "served-model-name": "m",
            "tokenizer": tokenizer, "dataset-name": "timed_trace", "dataset-path": file, "num-prompts": len(requests),
            "ready-check-timeout-sec": 0, "temperature": 0, "result-filename": result,
        }  # fmt: skip
        given = [str(part) for name, value in flags.items() for part in (f"--{name}", value)]
        said = _said([str(vllm), "-c", VLLM, *given, "--disable-tqdm", "--save-result"])
        cpu_s = next(
            float(line.split()[1]) for line in said.splitlines() if line.startswith("CPU ")
        )
        failed = len(requests) - int(json.loads(result.read_text())["completed"])
    else:
        told = json.loads(
            _said([sys.executable, "-m", "objectives.rig.load_bench", generator, url, str(file)])
        )
        cpu_s, failed = told["cpu_s"], told["failed"]
        if generator == "sleep":
            return Sent("sleep", streams, tokens, cpu_s, failed, _beyond(told["woke_s"], due_s))
    with urllib.request.urlopen(f"{url}/arrivals", timeout=10) as answer:  # noqa: S310  our own stub
        return Sent(generator, streams, tokens, cpu_s, failed, _beyond(json.load(answer), due_s))


def _said(argv: Sequence[str]) -> str:
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=600, check=False)
    if ran.returncode:
        raise SetupError(f"{argv[0]} ended with {ran.returncode}: {ran.stderr[-2000:]}")
    return ran.stdout


def _beyond(at_s: Sequence[float], due_s: Sequence[float]) -> tuple[float, ...]:
    """Milliseconds after what is due, both in order, beyond the least late.

    >>> _beyond([10.0, 11.25], [0.0, 1.0])
    (0.0, 250.0)
    """
    late = [a - d for a, d in zip(sorted(at_s), sorted(due_s), strict=False)]
    return tuple(round(1000 * (x - min(late)), 3) for x in late)


def ours(url: str, requests: Sequence[Request]) -> dict[str, Any]:
    """Drive a trace from this process, as a trial does: CPU seconds and failures."""
    ends, clips = Endpoints(url, url, "m", 2048), read_clips("assistant")
    window = drive(ends, clips, requests, timeout_s=60.0, broken=lambda: None)
    return {"cpu_s": window.cpu_s, "failed": sum(r.error is not None for r in window.replies)}


def slept(requests: Sequence[Request]) -> dict[str, Any]:
    """When a thread woke that only sleeps until each request's time."""
    never, start_s, woke_s = threading.Event(), time.monotonic() + 0.2, []
    began = time.process_time()
    for r in requests:
        never.wait(max(0.0, start_s + r.at_s - time.monotonic()))
        woke_s.append(time.monotonic())
    return {"cpu_s": time.process_time() - began, "failed": 0, "woke_s": woke_s}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="One run of one generator, for scripts/bench_load.py."
    )
    parser.add_argument("generator", choices=("ours", "sleep"))
    parser.add_argument("url")
    parser.add_argument("trace", type=Path, help="as vLLM's timed_trace")
    asked = parser.parse_args()
    lines = [json.loads(line) for line in asked.trace.read_text().splitlines()]
    sent = [
        Request("llm", x["timestamp"], x["input_length"], x["output_length"], seed=n)
        for n, x in enumerate(lines)
    ]
    print(json.dumps(ours(asked.url, sent) if asked.generator == "ours" else slept(sent)))
