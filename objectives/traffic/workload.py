"""A workload says what servers get: turns, requests beside them, and the ramp that follows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np

from objectives.plain_data.ranges import Range
from objectives.services import ApiName
from objectives.traffic.trace_slice import TraceSlice

UNNAMED = -1.0  # a rate that nobody has named
USUAL_PER_S = 0.5


@dataclass(frozen=True, slots=True)
class Traffic:
    """Traffic is what one service gets under a workload.

    Args:
        service: The name of the service.
        api: What its requests are: prompts, clips to transcribe, or texts.
        per_s: Their mean arrival rate, requests per second.
        burst: The number of requests that arrive together; their mean rate stays.
        tokens: The shortest and the longest text, tokens; of those of turns the workload tells.
        output_tokens: The length of an answer, tokens; 0 of what is no LLM, and of those of turns.
    """

    service: str
    api: ApiName
    per_s: float
    burst: int = 1
    tokens: tuple[int, int] = (0, 0)
    output_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A workload is a traffic pattern; every trial of a study replays the same one.

    Where no rate is named, turns arrive at `USUAL_PER_S`. Where turns are, there are no more
    requests than are named beside them. A workload of 0.1 names requests and no turns: it has no
    turns, and of what it leaves unnamed `USUAL_PER_S`.

    Args:
        seed: The seed of arrivals and prompts.
        window_s: The length of the arrival trace, seconds.
        turns_per_s: The mean arrival rate of turns, each a clip and then an LLM request, turns per
            second.
        llm_per_s: The mean arrival rate of LLM requests outside turns, requests per second.
        stt_per_s: The mean arrival rate of clips outside turns, requests per second.
        llm_burst: The number of those LLM requests that arrive together; their mean rate stays.
        prompt_tokens: The shortest and the longest prompt, tokens.
        output_tokens: The tokens of every answer (`ignore_eos`, so that work is equal).
        clips: `assistant` or `dictation` (shipped), or a folder with a manifest.jsonl: the speech
            of the traffic.
        words: The speech whose words are counted, likewise, once for each speech configuration;
            None counts those of `clips`.
        ramp_s: The longest time in which a ramp reaches twice the baseline's capacity, seconds; 0
            leaves the ramp out.
        ramp_doubling_s: The time in which the rate of a ramp doubles, seconds; longer where too
            few turns would lie below the capacity.
        hold_s: The time for which a confirmation holds a constant rate of turns, seconds.
        pause_s: A user's pause between two turns, seconds.
        alone_requests: The requests of each service that are sent alone, before the joint
            load, for the interference figure.
        request_timeout_s: The time after which a request has failed, seconds.
        trace: The slice of a trace that the window replays, which tells its rates and lengths;
            None where they are drawn.
        beside: What the services beside those of a turn get; their own entries in `services` say
            it.
        turn: The services that a turn passes, in their order; none for a clip and then the LLM.
    """

    seed: Annotated[int, Range(0, 2**31 - 1)] = 1
    window_s: Annotated[float, Range(1, 1e7)] = 60.0
    turns_per_s: Annotated[float, Range(0, 1000)] = UNNAMED
    llm_per_s: Annotated[float, Range(0, 1000)] = UNNAMED
    stt_per_s: Annotated[float, Range(0, 1000)] = UNNAMED
    llm_burst: Annotated[int, Range(1, 10_000)] = 1
    prompt_tokens: Annotated[tuple[int, int], Range(1, 1e7)] = (512, 2048)
    output_tokens: Annotated[int, Range(1, 1e7)] = 128
    clips: str = "assistant"
    words: str | None = None
    ramp_s: Annotated[float, Range(0, 1e5)] = 120.0
    ramp_doubling_s: Annotated[float, Range(1, 1e4)] = 25.0
    hold_s: Annotated[float, Range(1, 1e5)] = 90.0
    pause_s: Annotated[float, Range(0, 1e5)] = 1.0
    alone_requests: Annotated[int, Range(0, 10_000)] = 5
    request_timeout_s: Annotated[float, Range(1, 1e7)] = 120.0
    trace: TraceSlice | None = None
    beside: tuple[Traffic, ...] = ()
    turn: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Give each rate that nobody has named its value, which depends on those that are named."""
        names_requests = self.llm_burst > 1 or max(self.llm_per_s, self.stt_per_s) != UNNAMED
        is_of_0_1 = names_requests and self.turns_per_s == UNNAMED
        values = {
            "turns_per_s": 0.0 if is_of_0_1 else USUAL_PER_S,
            "llm_per_s": USUAL_PER_S if is_of_0_1 else 0.0,
            "stt_per_s": USUAL_PER_S if is_of_0_1 else 0.0,
        }
        for name, value in values.items():
            if getattr(self, name) == UNNAMED:
                object.__setattr__(self, name, value)  # the class is frozen

    @property
    def of_turns(self) -> tuple[Traffic, ...]:
        """Return what the services of a turn get outside turns, the last of a turn first.

        Only this place knows which key is whose.
        """
        return (
            Traffic("llm", "completions", self.llm_per_s, self.llm_burst),
            Traffic("stt", "transcription", self.stt_per_s),
        )

    @property
    def streams(self) -> tuple[Traffic, ...]:
        """Return what comes outside turns by service."""
        return (*self.of_turns, *self.beside)

    @property
    def scored_clips(self) -> str:
        """Return the clips whose words are counted."""
        return self.words or self.clips

    @property
    def least_per_s(self) -> float:
        """Return the rate of turns, or without turns that of the rarest requests."""
        return self.turns_per_s or min(s.per_s for s in self.streams if s.per_s > 0)

    @property
    def longest(self) -> tuple[int, int]:
        """Return the tokens of prompt and answer of the longest request."""
        drawn = (self.prompt_tokens[1], self.output_tokens)
        return drawn if self.trace is None else self.trace.facts.longest

    @property
    def mean_tokens(self) -> float:
        """Return the mean tokens of a request, prompt and answer."""
        if self.trace is not None:
            return self.trace.facts.prompt_mean + self.trace.facts.output_mean
        return sum(self.prompt_tokens) / 2 + self.output_tokens


def without_arrivals(workload: Workload) -> Workload:
    """Return a workload as it is stored: the file of its trace tells what is sent."""
    trace = workload.trace
    return workload if trace is None else replace(workload, trace=replace(trace, arrivals=()))


def as_compared(workload: Workload) -> Workload:
    """Return a workload as others are compared with it: its trace by digest, wherever it lies."""
    stored = without_arrivals(workload)
    if stored.trace is None:
        return stored
    options = replace(stored.trace.options, file="")
    return replace(stored, trace=replace(stored.trace, options=options))


@dataclass(frozen=True, slots=True)
class Prefix:
    """A prefix is the part of a prompt that other prompts may begin with too.

    Args:
        hash_ids: The ids of its blocks.
        block_tokens: The tokens of a block; the last one may be cut.
        seed: Prompts of equal ids and seeds begin alike.
    """

    hash_ids: tuple[int, ...]
    block_tokens: int
    seed: int


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
        turn: The number of its turn, whose requests leave one after the other, each once the one
            before has been answered; None outside turns.
        prefix: What its prompt shares with others; None where it is unlike all.
    """

    service: str
    at_s: float
    prompt_tokens: int = 0
    output_tokens: int = 0
    clip: int = 0
    seed: int = 0
    turn: int | None = None
    prefix: Prefix | None = None


def prompt(tokens: int, seed: int, vocabulary: int) -> list[int]:
    """Return a prompt of exactly `tokens` token ids, unlike any other seed's.

    So no prefix cache helps.

    The ids avoid the lowest 300, where tokenizers keep their special tokens and bytes.
    """
    first = min(300, vocabulary // 2)
    return [int(t) for t in np.random.default_rng([seed, 2]).integers(first, vocabulary, tokens)]
