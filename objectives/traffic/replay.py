"""A window replays the slice of a trace: its times, its lengths and its shared prefixes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from objectives.traffic.turns import passed, turn_like
from objectives.traffic.workload import Request, Workload


def replayed(workload: Workload, clips: int) -> list[Request]:
    """Return the requests of the slice of a workload at its times; none where it has none.

    Args:
        workload: The slice, and the seed of words and clips.
        clips: The number of speech clips.
    """
    requests: list[Request] = []
    services, number = passed(workload), -1
    usual = {s.service for s in workload.of_turns}
    for arrival in workload.trace.arrivals if workload.trace is not None else ():
        number += bool(arrival.prompt_tokens)
        turn = turn_like(arrival, workload, services, max(number, 0), clips, 0)
        if not (arrival.prompt_tokens and arrival.is_spoken):
            turn = tuple(
                replace(r, turn=None)
                for r in turn
                if r.service in usual and services[r.service] is not bool(arrival.prompt_tokens)
            )
        requests += [replace(r, at_s=arrival.at_s) for r in turn]
    return requests


def alone_requests(workload: Workload, service: str, seeds: Sequence[int]) -> list[Request]:
    """Return the prompts that an LLM gets while it is alone, no two of them alike.

    They are the longest; of a trace they are as long as its requests from short to long, so that
    the median of them is that of the trace.

    Args:
        workload: The sizes of prompts and answers.
        service: The name of the LLM.
        seeds: A seed for each of them.
    """
    sizes = [workload.longest] * len(seeds)
    arrivals = () if workload.trace is None else workload.trace.arrivals
    if askers := sorted((a for a in arrivals if a.prompt_tokens), key=lambda a: a.tokens):
        places = [int((n + 0.5) / len(seeds) * len(askers)) for n in range(len(seeds))]
        sizes = [(askers[n].prompt_tokens, askers[n].output_tokens) for n in places]
    return [
        Request(service, 0.0, *size, seed=seed) for size, seed in zip(sizes, seeds, strict=True)
    ]
