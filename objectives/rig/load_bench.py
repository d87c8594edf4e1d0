"""The load bench compares our load generator with vLLM's own on one stub server.

It measures CPU time a streamed token, and how late requests leave.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from objectives.errors import SetupError
from objectives.load.figures_of_replies import nearest_rank
from objectives.plain_data.atomic import write_atomic
from objectives.rig.generators import GENERATORS, TOKENS, BenchTrace, Sent, run_generator
from objectives.traffic.trace import trace
from objectives.traffic.workload import Request, Workload

INTERVAL_S, PROMPT_TOKENS = 0.1, 256


def compare_generators(
    levels: Sequence[int],
    repeats: int,
    *,
    hold_s: float,
    vllm: Path | None,
    tokenizer: Path,
    tell: Callable[[Sent], None],
) -> list[Sent]:
    """Run every generator at every number of streams, in turn, several times on the same traces.

    Args:
        levels: The numbers of streams that are open at once.
        repeats: How often everything is run.
        hold_s: How long requests keep arriving, seconds.
        vllm: An interpreter that has vLLM; None leaves its generator out.
        tokenizer: Any model's folder, for vLLM.
        tell: It is called with each run at its end.

    Raises:
        SetupError: A generator is missing or fails.
    """
    for needed in (vllm, tokenizer) if vllm is not None else ():
        if not needed.exists():
            raise SetupError(f"{needed} is not there; run python scripts/install_cpu_servers.py")
    runs = []
    with TemporaryDirectory() as folder, _stub() as url:
        for repeat in range(repeats):
            for streams in levels:
                rate = streams / (TOKENS * INTERVAL_S)
                requests = trace(
                    Workload(seed=repeat, window_s=hold_s, llm_per_s=rate, stt_per_s=0), clips=1
                )
                file = Path(folder) / "trace.jsonl"
                file.write_text("".join(_trace_line(n, r) for n, r in enumerate(requests)))
                order = [g for g in GENERATORS if vllm is not None or g != "vllm"]
                bench = BenchTrace(streams, requests, url, file)
                for generator in order if repeat % 2 else reversed(order):
                    runs.append(run_generator(generator, bench, vllm, tokenizer))
                    tell(runs[-1])
    return runs


COLUMNS = (
    "streams",
    "generator",
    "CPU µs/token",
    "of vLLM's",
    "late p50 ms",
    "p99 ms",
    "max ms",
    "failed",
)


def run_table(runs: Sequence[Sent]) -> list[tuple[str, ...]]:
    """Return medians over the repeats, a row for each number of streams and generator.

    The first row is the head.
    """
    rows: list[tuple[str, ...]] = [COLUMNS]
    by_generator = sorted(runs, key=lambda s: GENERATORS.index(s.generator))
    for streams in dict.fromkeys(s.streams for s in runs):
        cost = {
            name: median(s.cpu_s / s.tokens * 1e6 for s in group)
            for name in ("ours", "vllm")
            if (group := _of(runs, streams, name))
        }
        for name in dict.fromkeys(s.generator for s in by_generator):
            group = _of(runs, streams, name)
            late = (
                f"{median(nearest_rank(s.late_ms, q) or 0.0 for s in group):.2f}"
                for q in (0.5, 0.99, 1.0)
            )
            cpu = f"{cost[name]:.1f}" if name in cost else "-"
            ratio = f"{cost[name] / cost['vllm']:.2f}" if name in cost and "vllm" in cost else "-"
            rows.append((str(streams), name, cpu, ratio, *late, str(sum(s.failed for s in group))))
    return rows


def show_run(run: Sent) -> None:
    """Print one run at its end."""
    _console().print(
        f"{run.streams:>4} streams, {run.generator}: {run.cpu_s:.2f} CPU s, {run.failed} failed"
    )


def show(runs: Sequence[Sent]) -> None:
    """Print the medians over the repeats."""
    head, *body = run_table(runs)
    medians = Table(*head, title="Medians over the repeats", title_justify="left")
    for row in body:
        medians.add_row(*row)
    _console().print(medians)


def _console() -> Console:
    return Console(highlight=False)


def save(runs: Sequence[Sent], path: Path) -> None:
    """Write every run with all its figures, whole or not at all."""
    write_atomic(path, "".join(json.dumps(asdict(s)) + "\n" for s in runs))


def _of(runs: Sequence[Sent], streams: int, generator: str) -> list[Sent]:
    return [s for s in runs if s.streams == streams and s.generator == generator]


def _trace_line(number: int, request: Request) -> str:
    """Return one request as vLLM reads it: every 16 tokens of a prompt by a number of their own."""
    blocks = [number * PROMPT_TOKENS + n for n in range(PROMPT_TOKENS // 16)]
    fields = {
        "timestamp": request.at_s,
        "input_length": PROMPT_TOKENS,
        "output_length": TOKENS,
        "hash_ids": blocks,
    }
    return json.dumps(fields) + "\n"


@contextmanager
def _stub() -> Iterator[str]:
    argv = [sys.executable, "-m", "objectives.rig.stub_llm"]
    argv += ["--interval-ms", str(1000 * INTERVAL_S)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None  # noqa: S101  it is a pipe
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.terminate()
