"""A trace is what is sent in a window: turns and requests, by a workload and its seed. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from objectives.traffic.replay import replayed
from objectives.traffic.segments import segments
from objectives.traffic.turns import passed, turn_requests
from objectives.traffic.workload import Request, Traffic, Workload

# what a seed of arrivals is for, beside the streams of 0.1 (0 and 1), ramps (3) and sizes (4)
TURNS, STREAMS, BESIDE_TURNS = 5, 6, 7


def trace(workload: Workload, clips: int) -> tuple[Request, ...]:
    """Return the requests of the window, sorted by time; the same seed gives the same ones.

    Times of arrival are those of a Poisson process, given how many there are. All requests of a
    turn have the time at which it arrives. Where there are turns, every segment of the window has
    arrivals of a seed of its own. Where the workload replays a trace, it has the times of that,
    and clips beside it where they are asked for.

    Args:
        workload: The traffic pattern.
        clips: The number of speech clips; each speech request names one by number.

    >>> for r in trace(Workload(window_s=4, turns_per_s=0.5), clips=24):
    ...     print(r.turn, r.service)
    0 stt
    0 llm
    1 stt
    1 llm
    """
    if workload.trace is not None:
        has_clips = workload.trace.options.stt == "poisson"
        beside = [
            r
            for n, stream in enumerate(workload.streams)
            if stream in workload.beside or (has_clips and stream.api == "transcription")
            for r in _requests(n, stream, workload, clips)
        ]
        return tuple(sorted([*replayed(workload, clips), *beside], key=_time))
    requests: list[Request] = []
    for n, stream in enumerate(workload.streams):
        requests += _requests(n, stream, workload, clips)
    turns = round(workload.turns_per_s * workload.window_s)
    for number, at_s in enumerate(_by_segment(workload, TURNS, turns)):
        turn = turn_requests(workload, passed(workload), number, clips)
        requests += [replace(r, at_s=at_s) for r in turn]
    return tuple(sorted(requests, key=_time))


def beside_turns(workload: Workload, for_s: float, salt: int, clips: int) -> tuple[Request, ...]:
    """Return what the services beside a turn get while turns arrive, sorted by time.

    Each gets its own constant rate, by a Poisson process; the same seed gives the same times, and
    the same salt the same words.

    Args:
        workload: The traffic pattern.
        for_s: How long turns arrive, seconds.
        salt: It tells the texts of one ramp from those of another.
        clips: The number of speech clips.

    >>> from objectives.traffic.workload import Traffic
    >>> embed = Traffic("embed", "embeddings", per_s=2.0, burst=3, tokens=(16, 64))
    >>> requests = beside_turns(Workload(beside=(embed,)), for_s=60.0, salt=1, clips=24)
    >>> {r.service for r in requests}, len(requests) % 3, 60 < len(requests) < 180
    ({'embed'}, 0, True)
    """
    requests: list[Request] = []
    for n, stream in enumerate(workload.beside):
        rng = np.random.default_rng([workload.seed, BESIDE_TURNS, n])
        at_s = 0.0
        while stream.per_s > 0:
            at_s += rng.exponential(stream.burst / stream.per_s)
            if at_s >= for_s:
                break
            for _ in range(stream.burst):
                tokens = int(rng.integers(stream.tokens[0], stream.tokens[1] + 1))
                seed = int(rng.integers(2**31)) + salt * 2**31
                at = stream.service, round(at_s, 6)
                requests.append(
                    Request(*at, clip=seed % clips)
                    if stream.api == "transcription"
                    else Request(*at, tokens, stream.output_tokens, seed=seed)
                )
    return tuple(sorted(requests, key=_time))


def _time(request: Request) -> float:
    return request.at_s


def in_turns(requests: Iterable[Request]) -> tuple[tuple[Request, ...], ...]:
    """Return the requests of each turn, in their order; one outside turns stands alone.

    >>> a, b, c = Request("stt", 0.0, turn=7), Request("llm", 0.0), Request("llm", 0.0, turn=7)
    >>> [[r.service for r in turn] for turn in in_turns([a, b, c])]
    [['stt', 'llm'], ['llm']]
    """
    turns: dict[object, list[Request]] = defaultdict(list)
    for n, request in enumerate(requests):
        turns[("alone", n) if request.turn is None else request.turn].append(request)
    return tuple(map(tuple, turns.values()))


def _requests(n: int, stream: Traffic, workload: Workload, clips: int) -> list[Request]:
    """Return the requests of the n-th stream."""
    rng = np.random.default_rng([workload.seed, n])
    if stream.api == "transcription":
        return _clips(rng, n, stream, workload, clips)
    if stream in workload.beside:
        return _texts(rng, n, stream, workload, stream.tokens, stream.output_tokens)
    return _texts(rng, n, stream, workload, workload.prompt_tokens, workload.output_tokens)


def _texts(
    rng: np.random.Generator,
    n: int,
    stream: Traffic,
    workload: Workload,
    tokens: tuple[int, int],
    output_tokens: int,
) -> list[Request]:
    """Return the requests of the n-th stream, as long as drawn from the shortest to the longest."""
    shortest, longest = tokens
    return [
        Request(
            stream.service,
            at_s,
            prompt_tokens=int(rng.integers(shortest, longest + 1)),
            output_tokens=output_tokens,
            seed=int(rng.integers(2**31)),
        )
        for at_s in _arrivals(rng, n, stream, workload)
    ]


def _clips(
    rng: np.random.Generator, n: int, stream: Traffic, workload: Workload, clips: int
) -> list[Request]:
    order = rng.permutation(clips)
    times_s = _arrivals(rng, n, stream, workload)
    return [
        Request(stream.service, at_s, clip=int(order[k % clips])) for k, at_s in enumerate(times_s)
    ]


def _arrivals(rng: np.random.Generator, n: int, stream: Traffic, workload: Workload) -> list[float]:
    """Return the times of the n-th stream; without turns they are those that 0.1 drew."""
    groups = round(stream.per_s * workload.window_s / stream.burst)
    if workload.turns_per_s:
        times_s = _by_segment(workload, STREAMS + n, groups)
    else:
        times_s = _sorted(rng.uniform(0.0, workload.window_s, groups))
    return [t for t in times_s for _ in range(stream.burst)]


def _by_segment(workload: Workload, kind: int, count: int) -> list[float]:
    """Return a fixed number of arrival times, so that any two seeds carry the same work.

    Every segment has as many as every other, or one more.
    """
    parts = segments(workload)
    times_s: list[float] = []
    for part in parts:
        until = (2 * count * (part.number + 1) + len(parts)) // (2 * len(parts))
        rng = np.random.default_rng([workload.seed, kind, part.number])
        times_s += _sorted(rng.uniform(part.begin_s, part.end_s, until - len(times_s)))
    return times_s


def _sorted(times_s: np.ndarray) -> list[float]:
    return [round(float(t), 6) for t in np.sort(times_s)]
