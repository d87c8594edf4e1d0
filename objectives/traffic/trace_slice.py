"""A trace slice is the part of a trace file that a workload replays. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from objectives.plain_data.ranges import Range

Format = Literal["azure", "mooncake", "burstgpt", "timed_trace"]
TooLong = Literal["drop", "clip"]
Stt = Literal["before_each", "poisson", "captured"]
MOST_S = 1e9


@dataclass(frozen=True, slots=True)
class Arrival:
    """An arrival is one line of a trace, or the two lines of a captured turn.

    Args:
        at_s: Its time, seconds: in a file from its first line, in a slice from its start.
        prompt_tokens: The length of its prompt, tokens; 0 for a clip alone.
        output_tokens: The length of its answer, tokens.
        hash_ids: The ids of the prompt's blocks; equal leading ids are a shared prefix.
        clip: The number of its clip; None where the trace names none.
        is_spoken: Whether it is or begins with a clip.
        line: Its number in the file, from 1.
    """

    at_s: float
    prompt_tokens: int = 0
    output_tokens: int = 0
    hash_ids: tuple[int, ...] = ()
    clip: int | None = None
    is_spoken: bool = False
    line: int = 0

    @property
    def tokens(self) -> int:
        """Return the tokens of prompt and answer."""
        return self.prompt_tokens + self.output_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceOptions:
    """The options say what of a trace file is replayed, and what is done to it.

    Args:
        file: The file.
        format: Its format.
        from_s: Where the slice begins, seconds from the file's first request.
        for_s: How long it is, seconds of the trace.
        speed: Times are divided by it.
        thin: The share of the requests that are kept, by a seed.
        too_long: What becomes of a request that the server does not take: it is dropped, or its
            prompt is clipped.
        jitter_s: Up to so much is added to each stamp, by a seed, seconds of the trace.
        stt: Clips are sent before each LLM request, as a Poisson process beside them, or as they
            were captured.
        longest: The tokens of prompt and answer that the server takes; None where nobody says.
    """

    file: str
    format: Format
    from_s: Annotated[float, Range(0, MOST_S)]
    for_s: Annotated[float, Range(1, MOST_S)]
    speed: Annotated[float, Range(0.01, 100)] = 1.0
    thin: Annotated[float, Range(1e-6, 1)] = 1.0
    too_long: TooLong = "clip"
    jitter_s: Annotated[float, Range(0, 3600)] = 0.0
    stt: Stt = "before_each"
    longest: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceFacts:
    """The facts of a slice are what was left out of it, and how long its requests are.

    Args:
        in_file: The LLM requests of the slice in the file.
        failed: Those of them without a prompt or an answer, which are left out.
        thinned: Those that are left once the slice is thinned.
        too_long: Those of them that the server does not take.
        tokens: The tokens of all that are left once it is thinned.
        tokens_lost: The tokens of those that are dropped, or what is cut off them.
        prompt_p25: A quarter of the prompts are no longer, tokens.
        prompt_mean: The mean length of a prompt, tokens.
        prompt_p95: 95 % of the prompts are no longer, tokens.
        output_mean: The mean length of an answer, tokens.
        longest: Prompt and answer of the longest request, tokens.
        grid_s: The grid that most stamps lie on, seconds of the trace; None where there is none.
        grid_pct: The share of them, percent.
    """

    in_file: int
    failed: int
    thinned: int
    too_long: int
    tokens: int
    tokens_lost: int
    prompt_p25: int
    prompt_mean: float
    prompt_p95: int
    output_mean: float
    longest: tuple[int, int]
    grid_s: float | None = None
    grid_pct: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceSlice:
    """A slice of a trace holds the arrivals that a window replays, in the order of their times.

    Args:
        options: What of the file it is.
        sha256: The digest of the file up to its end, and of the file's size.
        facts: What was left out of it, and how long its requests are.
        block_tokens: The tokens of a block that has a hash id.
        arrivals: What is sent; what is stored of a slice does not keep them.
    """

    options: TraceOptions
    sha256: str
    facts: SliceFacts
    block_tokens: int = 0
    arrivals: tuple[Arrival, ...] = field(default=(), compare=False, repr=False)

    def asker(self, number: int) -> tuple[Arrival, int]:
        """Return the arrival that the LLM request of a ramp's turn is like, and its round.

        They come in the order of the trace, again from the first after the last.

        Args:
            number: The number of the turn.
        """
        askers = [a for a in self.arrivals if a.prompt_tokens]
        again, position = divmod(number, len(askers))
        return askers[position], again
