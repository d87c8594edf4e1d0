"""This module reads what `capture` has written as a trace: its lines have `at_s` and `service`."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from objectives.traffic.clips import Clip
from objectives.traffic.public_traces.lines import TraceFile
from objectives.traffic.public_traces.read import FileSlice, begins
from objectives.traffic.trace_slice import Arrival, TraceOptions
from objectives.traffic.workload import Request
from study.spec.traces.captured_requests import captured


def is_captured(options: TraceOptions) -> bool:
    """Return whether the lines of a timed trace are those of a capture, by the first of them."""
    if options.format != "timed_trace":
        return False
    try:
        first = json.loads(next(TraceFile(Path(options.file)).lines(), ""))
    except (ValueError, RecursionError):
        return False  # what reads it as a request says what is wrong with it
    return isinstance(first, dict) and {"at_s", "service"} <= first.keys()


def captured_arrivals(options: TraceOptions, clips: Sequence[Clip]) -> list[Arrival]:
    """Return the lines of a capture, both of a turn as one, at seconds from the first."""
    requests = captured(Path(options.file), clips, None)
    prompts = {r.turn: r for r in requests if r.service == "llm" and r.turn is not None}
    first_s = requests[0].at_s
    arrivals = []
    for n, r in enumerate(requests, 1):
        at_s = r.at_s - first_s
        if r.service == "stt":
            asks = prompts.get(r.turn, Request("llm", 0.0)) if r.turn is not None else None
            sizes = (asks.prompt_tokens, asks.output_tokens) if asks else (0, 0)
            arrivals.append(Arrival(at_s, *sizes, clip=r.clip, is_spoken=True, line=n))
        elif r.turn is None:
            arrivals.append(Arrival(at_s, r.prompt_tokens, r.output_tokens, line=n))
    return arrivals


def captured_slice(
    options: TraceOptions, begin_s: float, end_s: float, clips: Sequence[Clip]
) -> FileSlice:
    """Return what a capture holds between two times, seconds from its first request."""
    arrivals = captured_arrivals(options, clips)
    within = tuple(a for a in arrivals if begin_s <= a.at_s < end_s)
    last_s = max(a.at_s for a in arrivals)
    digest = hashlib.sha256(Path(options.file).read_bytes()).hexdigest()
    return FileSlice(within, 0, last_s >= end_s, last_s, digest)


def captured_beside(options: TraceOptions, least: int, clips: Sequence[Clip]) -> tuple[float, ...]:
    """Return where the other slices of a capture begin that have so many LLM requests."""
    arrivals = captured_arrivals(options, clips)
    counts = Counter(
        math.floor((a.at_s - options.from_s) / options.for_s) for a in arrivals if a.prompt_tokens
    )
    last_s = max(a.at_s for a in arrivals)
    return begins(counts, options.from_s, options.for_s, last_s, least)
