"""Read captured traces: JSON lines of arrivals.

Each has the lengths of its prompt and its answer, or the spoken clip.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from objectives.errors import BadInput
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Request
from study.text import meant, one_line

MAX_TRACE_BYTES = 16 * 2**20
MAX_REQUESTS = 100_000
MAX_S = 86_400.0
FIELDS = {
    "llm": ("at_s", "service", "prompt_tokens", "output_tokens"),
    "stt": ("at_s", "service", "clip"),
}


def captured(path: Path, clips: Sequence[Clip], longest: int | None) -> tuple[Request, ...]:
    """Return the requests of a captured trace, sorted by time; every line is checked.

    A line is {"at_s": 0.5, "service": "llm", "prompt_tokens": 900, "output_tokens": 64} or
    {"at_s": 0.7, "service": "stt", "clip": 3}, with the number of a clip, or its file name.

    Raises:
        BadInput: A line is wrong; the error has file and line, in one line.
    """

    def wrong(number: int, what: str) -> BadInput:
        example = '{"at_s": 0.5, "service": "llm", "prompt_tokens": 900, "output_tokens": 64}'
        return BadInput(one_line(f"{path}:{number}: {what}; a line is such as {example}"))

    try:
        with path.open("rb") as file:
            data = file.read(MAX_TRACE_BYTES + 1)
    except OSError as error:
        raise BadInput(
            one_line(f"{path}: {error.strerror}; name a trace that can be read")
        ) from error
    if len(data) > MAX_TRACE_BYTES:
        raise wrong(1, f"the trace is larger than {MAX_TRACE_BYTES // 2**20} MiB")
    requests = []
    for number, raw in enumerate(data.split(b"\n"), 1):
        if not raw.strip():
            continue
        try:
            line = json.loads(
                raw.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_refused
            )
        except (ValueError, RecursionError) as error:
            raise wrong(number, f"not JSON ({str(error)[:80]})") from error
        try:
            requests.append(_request(line, number, clips, longest))
        except ValueError as error:
            raise wrong(number, str(error)) from error
        if len(requests) > MAX_REQUESTS:
            raise wrong(number, f"more than {MAX_REQUESTS:,} requests")
    if not requests:
        raise wrong(1, "the trace holds no request")
    return tuple(sorted(requests, key=lambda r: r.at_s))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key is there twice")
    return dict(pairs)


def _refused(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _request(line: object, number: int, clips: Sequence[Clip], longest: int | None) -> Request:
    """Return one line as a request; a ValueError says what is wrong with it."""
    if not isinstance(line, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004  one kind of error for a line
    service = line.get("service")
    if service not in ("llm", "stt"):
        raise ValueError(f"service is {_short(service)}, not llm or stt")
    fields = FIELDS[service]
    if unknown := sorted(line.keys() - set(fields)):
        raise ValueError(f"unknown key {_short(unknown[0])}, {meant(unknown[0], fields)}")
    if missing := [k for k in fields if k not in line]:
        raise ValueError(f"{missing[0]} is missing")
    at_s = line["at_s"]
    if (
        isinstance(at_s, bool)
        or not isinstance(at_s, int | float)
        or not (0 <= at_s <= MAX_S and math.isfinite(at_s))
    ):
        raise ValueError(f"at_s is {_short(at_s)}, not seconds from 0 to {MAX_S:,.0f}")
    if service == "stt":
        return Request("stt", float(at_s), clip=_clip(line["clip"], clips))
    tokens = []
    for name in ("prompt_tokens", "output_tokens"):
        value = line[name]
        if type(value) is not int or not 1 <= value <= 10_000_000:
            raise ValueError(f"{name} is {_short(value)}, not a whole number from 1")
        tokens.append(value)
    if longest is not None and sum(tokens) > longest:
        raise ValueError(
            f"{sum(tokens)} tokens of prompt and answer, and the LLM server takes {longest}"
        )
    prompt_tokens, output_tokens = tokens
    return Request("llm", float(at_s), prompt_tokens, output_tokens, seed=7_000_003 + number)


def _clip(clip: object, clips: Sequence[Clip]) -> int:
    names = [c.name for c in clips]
    if type(clip) is int and 0 <= clip < len(clips):
        return clip
    if isinstance(clip, str) and clip in names:
        return names.index(clip)
    raise ValueError(
        f"clip is {_short(clip)}, not a number from 0 to {len(clips) - 1} "
        "or a file name of the clips"
    )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
