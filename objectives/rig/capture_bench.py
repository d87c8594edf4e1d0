"""Measure what a capture adds to each request, on a stub server that streams.

    python -m objectives.rig.capture_bench

So many streams at a time are asked of the stub alone, and through a capture before it, in turn. An
answer has 32 tokens, one every 10 ms. It shows what the capture adds to the first piece and to the
end of an answer, and the CPU time that it takes a request: its own, and its reader's, which no
answer waits for.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from objectives.capture.capture import capture, route
from objectives.capture.tally import quantile
from objectives.load.sending.http_client import HttpLine

TOKENS, INTERVAL_MS = 32, 10.0
BODY = json.dumps(
    {
        "model": "m",
        "prompt": "a word " * 400,
        "max_tokens": TOKENS,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
).encode()


@dataclass(frozen=True, slots=True)
class BenchRun:
    """A run is so many streams at a time, for a while.

    Args:
        first_ms: From the request to the first piece of its answer, of every request.
        whole_ms: From the request to the end of its answer.
        capture_s: The CPU time of the capture, seconds; 0 without one.
        reader_s: The CPU time of its reader, seconds.
    """

    first_ms: tuple[float, ...]
    whole_ms: tuple[float, ...]
    capture_s: float = 0.0
    reader_s: float = 0.0


async def ask(url: str, streams: int, hold_s: float) -> BenchRun:
    """Keep so many streams open at a time, each on a connection of its own, for a while."""
    firsts, wholes = list[float](), list[float]()
    until_s = time.monotonic() + hold_s

    async def one() -> None:
        line = HttpLine(url)
        while time.monotonic() < until_s:
            times_s = [time.monotonic()]
            await line.ask(
                "POST",
                "/v1/completions",
                lambda _, times_s=times_s: times_s.append(time.monotonic()),  # type: ignore[misc]
                BODY,
                "application/json",
            )
            firsts.append((times_s[1] - times_s[0]) * 1000)
            wholes.append((times_s[-1] - times_s[0]) * 1000)
        line.close()

    await asyncio.gather(*(one() for _ in range(streams)))
    return BenchRun(tuple(firsts), tuple(wholes))


@contextlib.contextmanager
def stub() -> Iterator[str]:
    """Run the stub in a process of its own."""
    argv = [sys.executable, "-m", "objectives.rig.stub_llm", "--interval-ms", str(INTERVAL_MS)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None  # noqa: S101  it was asked for
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        server.terminate()


@contextlib.contextmanager
def captured(url: str, mirror: str | None) -> Iterator[tuple[str, psutil.Process]]:
    """Capture before a server in a process of its own; its trace is thrown away."""
    argv = [sys.executable, "-m", "objectives.rig.capture_bench", "--before", url]
    argv += ["--mirror", mirror] if mirror is not None else []
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101  it was asked for
        yield process.stdout.readline().split()[0], psutil.Process(process.pid)
        process.terminate()
        process.stdout.read()


def cpu_s(process: psutil.Process) -> tuple[float, float]:
    """Return the CPU time so far of a process, and that of its children."""

    def of(one: psutil.Process) -> float:
        times = one.cpu_times()
        return times.user + times.system

    return of(process), sum(map(of, process.children()))


def measured(
    streams: int, repeats: int, hold_s: float, *, is_mirrored: bool
) -> tuple[BenchRun, BenchRun]:
    """Return all requests to the stub alone, and all through a capture, which took turns."""
    alone, through = list[BenchRun](), list[BenchRun]()
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(stub())
        mirror = stack.enter_context(stub()) if is_mirrored else None
        before, process = stack.enter_context(captured(url, mirror))
        for _ in range(repeats):
            alone.append(asyncio.run(ask(url, streams, hold_s)))
            begin = cpu_s(process)
            run = asyncio.run(ask(before, streams, hold_s))
            time.sleep(0.2)  # the reader ends what waits
            own, reader = (b - a for a, b in zip(begin, cpu_s(process), strict=True))
            through.append(BenchRun(run.first_ms, run.whole_ms, own, reader))
    return _together(alone), _together(through)


def _together(runs: list[BenchRun]) -> BenchRun:
    return BenchRun(
        tuple(ms for run in runs for ms in run.first_ms),
        tuple(ms for run in runs for ms in run.whole_ms),
        sum(run.capture_s for run in runs),
        sum(run.reader_s for run in runs),
    )


def row(streams: int, what: str, alone: BenchRun, through: BenchRun) -> str:
    """Return a line of the table."""
    cells = [f"{streams:7}", f"{what:8}", f"{len(through.first_ms):8}"]
    for before, after in ((alone.first_ms, through.first_ms), (alone.whole_ms, through.whole_ms)):
        for share in (0.5, 0.99):
            added = (quantile(after, share) or 0.0) - (quantile(before, share) or 0.0)
            cells.append(f"{added:+9.2f}")
    count = len(through.first_ms)
    cells += [f"{1000 * s / count:9.2f}" for s in (through.capture_s, through.reader_s)]
    return " ".join(cells)


def main() -> None:
    """Show the table, or be the capture that is measured."""
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = options.add_argument
    add("--streams", type=int, nargs="+", default=[1, 8, 32], metavar="N", help="open at a time")
    add("--repeats", type=int, default=5, metavar="N", help="in turn (default 5)")
    add("--hold", type=float, default=4.0, metavar="S", help="of each (default 4)")
    add("--before", metavar="URL", help=argparse.SUPPRESS)
    add("--mirror", metavar="URL", help=argparse.SUPPRESS)
    arguments = options.parse_args()
    if arguments.before is not None:
        with tempfile.TemporaryDirectory() as folder:
            one = route(arguments.before, None, arguments.mirror, "--before")
            capture([one], Path(folder) / "trace.jsonl", None, lambda s: print(s, flush=True))
        return
    print("                         first piece, ms     whole answer, ms     CPU ms a request")
    print("streams          requests +p50      +p99      +p50      +p99   capture    reader")
    for streams in arguments.streams:
        for what, is_mirrored in (("captured", False), ("mirrored", True)):
            both = measured(streams, arguments.repeats, arguments.hold, is_mirrored=is_mirrored)
            print(row(streams, what, *both), flush=True)


if __name__ == "__main__":
    main()
