"""A workload says what servers get: a seeded trace of arrivals, and the turns of a ramp."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from objectives.plain_data.ranges import Range


@dataclass(frozen=True, slots=True)
class Traffic:
    """What one service gets under a workload.

    Args:
        service: The name of the service.
        api: What its requests are: prompts, or clips to transcribe.
        per_s: Their mean arrival rate, requests per second.
        burst: The number of requests that arrive together; their mean rate stays.
    """

    service: str
    api: Literal["completions", "transcription"]
    per_s: float
    burst: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A workload is a traffic pattern; every trial of a study replays the same one.

    Args:
        seed: The seed of arrivals and prompts.
        window_s: The length of the arrival trace, seconds.
        llm_per_s: The mean arrival rate of LLM requests, requests per second.
        stt_per_s: The mean arrival rate of clips, requests per second.
        llm_burst: The number of LLM requests that arrive together; their mean rate stays.
        prompt_tokens: The shortest and the longest prompt, tokens.
        output_tokens: The tokens of every answer (`ignore_eos`, so that work is equal).
        clips: `assistant` (shipped), or a folder with a manifest.jsonl.
        ramp_s: The longest time in which a ramp reaches twice the baseline's capacity, seconds; 0
            leaves the ramp out.
        ramp_doubling_s: The time in which the rate of a ramp doubles, seconds; longer where too
            few turns would lie below the capacity.
        pause_s: A user's pause between two turns, seconds.
        alone_requests: The requests of each service that are sent alone, before the joint
            load, for the interference figure.
        request_timeout_s: The time after which a request has failed, seconds.
    """

    seed: Annotated[int, Range(0, 2**31 - 1)] = 1
    window_s: Annotated[float, Range(1, 1e7)] = 60.0
    llm_per_s: Annotated[float, Range(0, 1000)] = 0.5
    stt_per_s: Annotated[float, Range(0, 1000)] = 0.5
    llm_burst: Annotated[int, Range(1, 10_000)] = 1
    prompt_tokens: Annotated[tuple[int, int], Range(1, 1e7)] = (512, 2048)
    output_tokens: Annotated[int, Range(1, 1e7)] = 128
    clips: str = "assistant"
    ramp_s: Annotated[float, Range(0, 1e5)] = 120.0
    ramp_doubling_s: Annotated[float, Range(1, 1e4)] = 25.0
    pause_s: Annotated[float, Range(0, 1e5)] = 1.0
    alone_requests: Annotated[int, Range(0, 10_000)] = 5
    request_timeout_s: Annotated[float, Range(1, 1e7)] = 120.0

    @property
    def streams(self) -> tuple[Traffic, ...]:
        """Return the stream of each service; only this place knows which key is whose."""
        return (
            Traffic("llm", "completions", self.llm_per_s, self.llm_burst),
            Traffic("stt", "transcription", self.stt_per_s),
        )


@dataclass(frozen=True, slots=True)
class Request:
    """A request is scheduled `at_s` seconds after the start of the window.

    Args:
        service: The name of the service.
        at_s: Its time, seconds.
        prompt_tokens: The length of its prompt, tokens.
        output_tokens: The length of its answer, tokens.
        clip: The number of its clip.
        seed: The seed of its prompt.
    """

    service: str
    at_s: float
    prompt_tokens: int = 0
    output_tokens: int = 0
    clip: int = 0
    seed: int = 0


def trace(workload: Workload, clips: int) -> tuple[Request, ...]:
    """Return the arrivals of the window, sorted by time; the same seed gives the same ones.

    Each service's times are those of a Poisson process, given how many there are.

    Args:
        workload: The traffic pattern.
        clips: The number of speech clips; each speech request names one by number.

    >>> a = trace(Workload(window_s=30, llm_per_s=2), clips=24)
    >>> a == trace(Workload(window_s=30, llm_per_s=2), clips=24)
    True
    >>> sorted({r.service for r in a})
    ['llm', 'stt']
    """
    requests: list[Request] = []
    for n, stream in enumerate(workload.streams):
        rng = np.random.default_rng([workload.seed, n])
        match stream.api:
            case "completions":
                requests += _prompts(rng, stream, workload)
            case "transcription":
                requests += _clips(rng, stream, workload.window_s, clips)
    return tuple(sorted(requests, key=lambda r: r.at_s))


def turn_requests(
    workload: Workload, services: Mapping[str, bool], number: int, clips: int, salt: int = 0
) -> tuple[Request, ...]:
    """Return the requests of one turn, one a service, in the order in which they are sent.

    The same seed and number give the same sizes, and the same salt the same words.

    Args:
        workload: The sizes of prompts and answers.
        services: Whether each service is fed audio, in the order in which a turn passes them.
        number: The number of the turn.
        clips: The number of speech clips.
        salt: It tells the prompts of one ramp from those of another.
    """
    rng = np.random.default_rng([workload.seed, 4, number])
    shortest, longest = workload.prompt_tokens
    requests = []
    for service, is_fed_audio in services.items():
        clip, tokens = int(rng.integers(clips)), int(rng.integers(shortest, longest + 1))
        seed = int(rng.integers(2**31)) + salt * 2**31
        requests.append(
            Request(service, 0.0, clip=clip)
            if is_fed_audio
            else Request(service, 0.0, tokens, workload.output_tokens, seed=seed)
        )
    return tuple(requests)


def _prompts(rng: np.random.Generator, stream: Traffic, workload: Workload) -> list[Request]:
    shortest, longest = workload.prompt_tokens
    return [
        Request(
            stream.service,
            at_s,
            prompt_tokens=int(rng.integers(shortest, longest + 1)),
            output_tokens=workload.output_tokens,
            seed=int(rng.integers(2**31)),
        )
        for at_s in _arrivals(rng, stream, workload.window_s)
    ]


def _clips(rng: np.random.Generator, stream: Traffic, window_s: float, clips: int) -> list[Request]:
    order = rng.permutation(clips)
    times = _arrivals(rng, stream, window_s)
    return [
        Request(stream.service, at_s, clip=int(order[n % clips])) for n, at_s in enumerate(times)
    ]


def _arrivals(rng: np.random.Generator, stream: Traffic, window_s: float) -> list[float]:
    """Return a fixed number of arrival times, so that any two seeds carry the same work."""
    groups = round(stream.per_s * window_s / stream.burst)
    times = np.sort(rng.uniform(0.0, window_s, groups))
    return [round(float(t), 6) for t in times for _ in range(stream.burst)]


def prompt(tokens: int, seed: int, vocabulary: int) -> list[int]:
    """Return a prompt of exactly `tokens` token ids, unlike any other seed's.

    So no prefix cache helps.

    The ids avoid the lowest 300, where tokenizers keep their special tokens and bytes.
    """
    first = min(300, vocabulary // 2)
    return [int(t) for t in np.random.default_rng([seed, 2]).integers(first, vocabulary, tokens)]
