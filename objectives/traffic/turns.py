"""A turn is a clip and then a prompt: a workload draws their lengths, or its trace has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from objectives.traffic.trace_slice import Arrival
from objectives.traffic.workload import Prefix, Request, Traffic, Workload


def passed(workload: Workload) -> dict[str, bool]:
    """Return whether each service is fed audio, in the order in which a turn passes them."""
    audio = {s.service: s.api == "transcription" for s in workload.streams}
    return {s: audio[s] for s in workload.turn or [s.service for s in reversed(workload.of_turns)]}


def _texts(workload: Workload) -> dict[str, Traffic]:
    """Return how long the texts are that a turn gives to services beside its usual ones."""
    return {s.service: s for s in workload.beside if s.service in workload.turn}


def turn_requests(
    workload: Workload, services: Mapping[str, bool], number: int, clips: int, salt: int = 0
) -> tuple[Request, ...]:
    """Return the requests of one turn, one a service, in the order in which they are sent.

    The same seed and number give the same sizes, and the same salt the same words. Where the
    workload replays a trace, turns are as long as its requests, in the order of the trace.

    Args:
        workload: The sizes of prompts and answers.
        services: Whether each service is fed audio, in the order in which a turn passes them.
        number: The number of the turn.
        clips: The number of speech clips.
        salt: It tells the prompts of one ramp from those of another; the window's is 0.
    """
    if workload.trace is not None:
        arrival, again = workload.trace.asker(number)
        return turn_like(arrival, workload, services, number, clips, salt + again * 2**10)
    rng = np.random.default_rng([workload.seed, 4, number])
    requests, texts = [], _texts(workload)
    for service, is_fed_audio in services.items():
        lengths = texts.get(service, workload)
        low, high = lengths.tokens if isinstance(lengths, Traffic) else lengths.prompt_tokens
        clip, tokens = int(rng.integers(clips)), int(rng.integers(low, high + 1))
        seed, output_tokens = int(rng.integers(2**31)) + salt * 2**31, lengths.output_tokens
        requests.append(
            Request(service, 0.0, clip=clip, turn=number)
            if is_fed_audio
            else Request(service, 0.0, tokens, output_tokens, seed=seed, turn=number)
        )
    return tuple(requests)


def turn_like(
    arrival: Arrival,
    workload: Workload,
    services: Mapping[str, bool],
    number: int,
    clips: int,
    salt: int,
) -> tuple[Request, ...]:
    """Return the requests of a turn as long as an arrival of a trace.

    Prompts of equal salts begin alike where the trace says so.

    Args:
        arrival: The lengths, and the clip where it names one.
        workload: The seed of words and clips.
        services: Whether each service is fed audio, in the order in which a turn passes them.
        number: The number of the turn.
        clips: The number of speech clips.
        salt: It tells prompts of the same number and ids apart.
    """
    rng = np.random.default_rng([workload.seed, 4, number])
    prefix = None
    if arrival.hash_ids and workload.trace is not None:
        seed = workload.seed + salt * 2**31
        prefix = Prefix(arrival.hash_ids, workload.trace.block_tokens, seed)
    requests, texts = [], _texts(workload)
    for service, is_fed_audio in services.items():
        clip, seed = int(rng.integers(clips)), int(rng.integers(2**31)) + salt * 2**31
        if service in texts and not is_fed_audio:  # a trace does not say how long
            low, high = texts[service].tokens
            sizes = int(rng.integers(low, high + 1)), texts[service].output_tokens
            requests.append(Request(service, 0.0, *sizes, seed=seed, turn=number))
            continue
        llm = Request(service, 0.0, arrival.prompt_tokens, arrival.output_tokens, seed=seed)
        spoken = Request(service, 0.0, clip=clip if arrival.clip is None else arrival.clip)
        request = spoken if is_fed_audio else replace(llm, prefix=prefix)
        requests.append(replace(request, turn=number))
    return tuple(requests)
