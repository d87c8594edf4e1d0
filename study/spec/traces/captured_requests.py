"""This module reads captured traces: JSON lines of arrivals.

Each has the lengths of its prompt and its answer, or the spoken clip.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from objectives.errors import BadInput
from objectives.traffic.clips import Clip
from objectives.traffic.public_traces.fields import json_fields, short
from objectives.traffic.public_traces.lines import TraceFile
from objectives.traffic.workload import Request
from study.text import meant, one_line

MAX_REQUESTS = 100_000
MAX_S = 86_400.0
FIELDS = {
    "llm": ("at_s", "service", "prompt_tokens", "output_tokens"),
    "stt": ("at_s", "service", "clip"),
}
SECONDS = "seconds"  # which a line may have in place of `clip`
TURN = "turn"  # which a line may have
MAX_TURN = 2**31


def captured(path: Path, clips: Sequence[Clip], longest: int | None) -> tuple[Request, ...]:
    """Return the requests of a captured trace, sorted by time; every line is checked.

    A line is {"at_s": 0.5, "service": "llm", "prompt_tokens": 900, "output_tokens": 64} or
    {"at_s": 0.7, "service": "stt", "clip": 3}, with the number of a clip, or its file name; with
    "seconds" in its place it stands for speech of that length, and the clip nearest in length is
    sent. A clip and an LLM request with the same "turn" are a turn: it arrives when the clip did,
    and its LLM request leaves when the clip has been answered.

    Raises:
        BadInput: The file cannot be read, or a line is wrong; the error has file and line, in one
            line.
    """

    def wrong(number: int, what: str) -> BadInput:
        example = '{"at_s": 0.5, "service": "llm", "prompt_tokens": 900, "output_tokens": 64}'
        return BadInput(one_line(f"{path}:{number}: {what}; a line is such as {example}"))

    requests, file = list[Request](), TraceFile(path)
    turns: dict[int, dict[str, int]] = defaultdict(dict)  # the line of each service's request
    for text in file.lines():
        try:
            requests.append(_request(json_fields(text), file.number, clips, longest))
            _add_to_turn(turns, requests[-1], file.number)
        except ValueError as error:
            raise wrong(file.number, str(error)) from error
        if len(requests) > MAX_REQUESTS:
            raise wrong(file.number, f"more than {MAX_REQUESTS:,} requests")
    if not requests:
        raise wrong(1, "the trace holds no request")
    for turn, lines in turns.items():
        if lines.keys() != FIELDS.keys():
            one = next(iter(lines.values()))
            raise wrong(
                one, f"turn {turn} has no other line, and a turn is a clip and an LLM request"
            )
    return _in_order(requests)


def _add_to_turn(turns: dict[int, dict[str, int]], request: Request, number: int) -> None:
    """Note the line of a turn's request; a ValueError says that its service was there already."""
    if request.turn is None:
        return
    lines = turns[request.turn]
    if request.service in lines:
        first = lines[request.service]
        raise ValueError(f"turn {request.turn} has its {request.service} request in line {first}")
    lines[request.service] = number


def _in_order(requests: Sequence[Request]) -> tuple[Request, ...]:
    """Return requests by time, both of a turn at that of its clip, the clip first."""
    begins_s = {r.turn: r.at_s for r in requests if r.service == "stt" and r.turn is not None}
    timed = [r if r.turn is None else replace(r, at_s=begins_s[r.turn]) for r in requests]
    return tuple(sorted(timed, key=lambda r: (r.at_s, r.turn is not None and r.service == "llm")))


def _request(
    line: Mapping[str, Any], number: int, clips: Sequence[Clip], longest: int | None
) -> Request:
    """Return one line as a request; a ValueError says what is wrong with it."""
    service = line.get("service")
    if service not in ("llm", "stt"):
        raise ValueError(f"service is {short(service)}, not llm or stt")
    fields = FIELDS[service]
    if service == "stt" and SECONDS in line:
        if "clip" in line:
            raise ValueError(f"it has clip and {SECONDS}, and a line has one of them")
        fields = ("at_s", "service", SECONDS)
    if unknown := sorted(line.keys() - {*fields, TURN}):
        raise ValueError(f"unknown key {short(unknown[0])}, {meant(unknown[0], (*fields, TURN))}")
    if missing := [k for k in fields if k not in line]:
        raise ValueError(f"{missing[0]} is missing")
    at_s = line["at_s"]
    if (
        isinstance(at_s, bool)
        or not isinstance(at_s, int | float)
        or not (0 <= at_s <= MAX_S and math.isfinite(at_s))
    ):
        raise ValueError(f"at_s is {short(at_s)}, not seconds from 0 to {MAX_S:,.0f}")
    turn = line.get(TURN)
    if turn is not None and (type(turn) is not int or not 0 <= turn < MAX_TURN):
        raise ValueError(f"turn is {short(turn)}, not a whole number from 0")
    if service == "stt":
        is_length = SECONDS in line
        clip = _of_length(line[SECONDS], clips) if is_length else _clip(line["clip"], clips)
        return Request("stt", float(at_s), clip=clip, turn=turn)
    tokens = []
    for name in ("prompt_tokens", "output_tokens"):
        value = line[name]
        if type(value) is not int or not 1 <= value <= 10_000_000:
            raise ValueError(f"{name} is {short(value)}, not a whole number from 1")
        tokens.append(value)
    if longest is not None and sum(tokens) > longest:
        raise ValueError(
            f"{sum(tokens)} tokens of prompt and answer, and the LLM server takes {longest}"
        )
    prompt_tokens, output_tokens = tokens
    seed = 7_000_003 + number
    return Request("llm", float(at_s), prompt_tokens, output_tokens, seed=seed, turn=turn)


def _clip(clip: object, clips: Sequence[Clip]) -> int:
    names = [c.name for c in clips]
    if type(clip) is int and 0 <= clip < len(clips):
        return clip
    if isinstance(clip, str) and clip in names:
        return names.index(clip)
    raise ValueError(
        f"clip is {short(clip)}, not a number from 0 to {len(clips) - 1} "
        "or a file name of the clips"
    )


def _of_length(seconds: object, clips: Sequence[Clip]) -> int:
    """Return the number of the clip nearest in length; of equal ones the first."""
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not 0 < seconds <= MAX_S
    ):
        raise ValueError(f"{SECONDS} is {short(seconds)}, not above 0 to {MAX_S:,.0f}")
    return min(range(len(clips)), key=lambda n: abs(clips[n].seconds - seconds))
