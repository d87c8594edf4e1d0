"""The workload that replays a trace is made here: its file is read, and tells rates and lengths."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from objectives.errors import BadInput
from objectives.traffic.clips import Clip, read_clips
from objectives.traffic.public_traces.read import (
    FileSlice,
    read_slice,
    slices_beside,
)
from objectives.traffic.public_traces.request_lines import FORMATS
from objectives.traffic.slices import sliced
from objectives.traffic.trace_slice import TraceOptions, TraceSlice
from objectives.traffic.workload import USUAL_PER_S, Workload
from study.spec.traces.captures import (
    captured_arrivals,
    captured_beside,
    captured_slice,
    is_captured,
)
from study.spec.traces.options import TraceEntry

ENOUGH = 0.95  # of a slice, where the trace ends in it
OF_OTHERS = 0.5  # a slice with fewer of the study's own requests is other traffic
MOST_SLICES = 32  # more than a confirmation has pairs


def with_trace(workload: Workload, trace_entry: TraceEntry, longest: int | None) -> Workload:
    """Return the workload that replays what is asked for.

    Args:
        workload: The seed, and everything that the trace does not tell.
        trace_entry: What the spec says of the trace.
        longest: The tokens of prompt and answer that the server takes; None where nobody says.

    Raises:
        BadInput: The file cannot be read, or the slice has no traffic; it has file and line.
    """
    entry, options = trace_entry.entry, replace(trace_entry.options, longest=longest)
    clips = read_clips(workload.clips) if is_captured(options) else ()
    if is_captured(options) and any(a.is_spoken for a in captured_arrivals(options, clips)):
        if trace_entry.is_stt_named:
            what = "the trace has clips of its own"
            raise entry.at("stt").wrong(what, "remove it: they are sent as they were captured")
        options = replace(options, stt="captured")
    in_file = _in_file(options, clips)
    left_s = in_file.last_s - options.from_s
    if not in_file.is_whole and left_s <= 0 < options.from_s:
        what = f"the trace ends {in_file.last_s:g} s after its first request"
        raise entry.at("from").wrong(what, "write an earlier one")
    if not in_file.is_whole and left_s < options.for_s:
        if trace_entry.is_for_named and left_s < ENOUGH * options.for_s:
            what = f"the trace ends {left_s:g} s after `from`, before {options.for_s:g} s are over"
            raise entry.at("for").wrong(what, f"write `for: {max(1, math.floor(left_s))}`")
        if not trace_entry.is_for_named:
            options = replace(options, for_s=math.floor(left_s) + 1.0)
    if options.stt == "poisson" and "stt_per_s" not in entry.items():
        spoken_per_s = workload.stt_per_s + workload.turns_per_s
        workload = replace(workload, stt_per_s=spoken_per_s or USUAL_PER_S)
    try:
        return _replaying(workload, in_file, options)
    except ValueError as error:
        until_s = options.from_s + options.for_s
        what = f"seconds {options.from_s:g} to {until_s:g} of it: {error}"
        way_out = "write another `from`, a longer `for`, or `too_long: clip`"
        raise entry.at("trace").wrong(what, way_out) from error


def other_slices(workload: Workload, clips: Sequence[Clip]) -> tuple[float, ...]:
    """Return where the other slices of a workload's trace begin, seconds; none without a trace.

    They are as long as its own and have none of its requests, but half as many at least.
    """
    if workload.trace is None:
        return ()
    options = workload.trace.options
    least = max(1, math.ceil(OF_OTHERS * workload.trace.facts.in_file))
    if not is_captured(options):
        path = Path(options.file)
        own = (options.from_s, options.for_s)
        return slices_beside(path, options.format, *own, least, MOST_SLICES)
    return captured_beside(options, least, clips)[:MOST_SLICES]


def on_slice(workload: Workload, from_s: float, seed: int, clips: Sequence[Clip]) -> Workload:
    """Return a workload on another slice of its trace, with another seed of thinning and jitter.

    Raises:
        BadInput: The file cannot be read any more, or no request is left of the slice.
    """
    workload = replace(workload, seed=seed)
    if workload.trace is None:
        return workload
    options = replace(workload.trace.options, from_s=from_s)
    try:
        return _replaying(workload, _in_file(options, clips), options)
    except ValueError as error:
        what = f"seconds {from_s:g} to {from_s + options.for_s:g}: {error}"
        way_out = "write a longer `for`, or `too_long: clip`"
        raise BadInput(f"{options.file}: {what}; {way_out}") from error


def _replaying(workload: Workload, in_file: FileSlice, options: TraceOptions) -> Workload:
    block_tokens = 0 if is_captured(options) else FORMATS[options.format].BLOCK_TOKENS
    trace: TraceSlice = sliced(
        in_file.arrivals,
        options,
        workload.seed,
        failed=in_file.failed,
        sha256=in_file.sha256,
        block_tokens=block_tokens,
    )
    window_s = options.for_s / options.speed
    askers = [a for a in trace.arrivals if a.prompt_tokens]
    turns = sum(a.is_spoken for a in askers)
    clips = len(trace.arrivals) - len(askers)
    if options.stt == "captured" and not turns + clips:
        raise ValueError("it holds no clip")
    prompts = [a.prompt_tokens for a in askers]
    return replace(
        workload,
        window_s=window_s,
        turns_per_s=turns / window_s,
        llm_per_s=(len(askers) - turns) / window_s,
        stt_per_s=workload.stt_per_s if options.stt == "poisson" else clips / window_s,
        llm_burst=1,
        prompt_tokens=(min(prompts), max(prompts)),
        output_tokens=max(a.output_tokens for a in askers),
        trace=trace,
    )


def _in_file(options: TraceOptions, clips: Sequence[Clip]) -> FileSlice:
    """Return what the file holds of a slice, and of the time before it that jitter may move."""
    begin_s, end_s = options.from_s - options.jitter_s, options.from_s + options.for_s
    path = Path(options.file)
    if not is_captured(options):
        return read_slice(path, options.format, begin_s, end_s)
    return captured_slice(options, begin_s, end_s, clips)
