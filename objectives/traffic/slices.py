"""A slice of a trace is made of its file's arrivals: moved, thinned, and made to fit. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from objectives.traffic.trace_slice import Arrival, SliceFacts, TraceOptions, TraceSlice

# what a seed of arrivals is for, beside those of `trace`
JITTER, THIN = 7, 8
UNIT_S = 0.005  # stamps that are no more apart count as one
GRIDS_S = (0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 30.0, 60.0)  # tried beside the usual gap
LEAST_ON_GRID = 0.5  # of the stamps
NEARLY = 0.9  # of the finest grid's stamps must lie on a coarser one
LEAST_STAMPS = 10


def sliced(
    arrivals: Sequence[Arrival],
    options: TraceOptions,
    seed: int,
    *,
    failed: int,
    sha256: str,
    block_tokens: int,
) -> TraceSlice:
    """Return the slice that a window replays; the same seed gives the same one.

    Args:
        arrivals: What the file holds from `jitter_s` before the slice to its end, at seconds from
            the file's first request.
        options: What becomes of them.
        seed: The seed of the jitter, and of what thinning keeps.
        failed: How many requests of the slice have no prompt or no answer.
        sha256: The digest of the file.
        block_tokens: The tokens of a block that has a hash id.

    Raises:
        ValueError: No LLM request is left; it says why.
    """
    moved = [_moved(a, options, seed) for a in arrivals]
    within = [a for a in moved if 0 <= a.at_s < options.for_s]
    count = sum(a.prompt_tokens > 0 for a in within)
    if not count:
        raise ValueError("it holds no LLM request")
    thinned = _thinned(within, options.thin, seed)
    fitting = [f for a in thinned if (f := _fitting(a, options)) is not None]
    askers = [a for a in fitting if a.prompt_tokens]
    if not askers:
        raise ValueError(f"every request is longer than the {options.longest:,} tokens")
    too_long = [a for a in thinned if _is_too_long(a, options)]
    grid_s, on_grid = _grid([a.at_s for a in arrivals])
    prompts = np.array([a.prompt_tokens for a in askers])
    longest = max(askers, key=lambda a: a.tokens)
    tokens = sum(a.tokens for a in thinned)
    spoken = options.stt == "before_each"
    return TraceSlice(
        options=options,
        sha256=sha256,
        facts=SliceFacts(
            in_file=count + failed,
            failed=failed,
            thinned=sum(a.prompt_tokens > 0 for a in thinned),
            too_long=len(too_long),
            tokens=tokens,
            tokens_lost=tokens - sum(a.tokens for a in fitting),
            prompt_p25=int(np.percentile(prompts, 25)),
            prompt_mean=round(float(prompts.mean()), 1),
            prompt_p95=int(np.percentile(prompts, 95)),
            output_mean=round(sum(a.output_tokens for a in askers) / len(askers), 1),
            longest=(longest.prompt_tokens, longest.output_tokens),
            grid_s=grid_s,
            grid_pct=on_grid,
        ),
        block_tokens=block_tokens,
        arrivals=tuple(
            replace(
                a,
                at_s=round(a.at_s / options.speed, 6),
                is_spoken=a.is_spoken or (spoken and a.prompt_tokens > 0),
            )
            for a in sorted(fitting, key=lambda a: a.at_s)
        ),
    )


def _moved(arrival: Arrival, options: TraceOptions, seed: int) -> Arrival:
    """Return an arrival at seconds from the slice's start, moved by its jitter."""
    at_s = arrival.at_s - options.from_s
    if options.jitter_s:
        rng = np.random.default_rng([seed, JITTER, arrival.line])
        at_s += float(rng.uniform(0.0, options.jitter_s))
    return replace(arrival, at_s=at_s)


def _thinned(arrivals: Sequence[Arrival], share: float, seed: int) -> list[Arrival]:
    """Return a share of the arrivals, at least one LLM request among them."""
    if share >= 1:
        return list(arrivals)
    order = np.random.default_rng([seed, THIN]).permutation(len(arrivals))
    kept = {int(n) for n in order[: max(1, round(share * len(arrivals)))]}
    first = next(int(n) for n in order if arrivals[n].prompt_tokens)
    if not any(arrivals[n].prompt_tokens for n in kept):
        kept.add(first)
    return [a for n, a in enumerate(arrivals) if n in kept]


def _is_too_long(arrival: Arrival, options: TraceOptions) -> bool:
    return options.longest is not None and arrival.tokens > options.longest


def _fitting(arrival: Arrival, options: TraceOptions) -> Arrival | None:
    """Return an arrival that the server takes; None where it is dropped.

    Of one that is clipped the begin of the prompt stays, which it shares with others, and the
    answer is only cut where it would not fit alone.
    """
    if options.longest is None or arrival.tokens <= options.longest:
        return arrival
    if options.too_long == "drop" or options.longest < 2:
        return None
    answer = min(arrival.output_tokens, options.longest - 1)
    return replace(arrival, prompt_tokens=options.longest - answer, output_tokens=answer)


def _grid(times_s: Sequence[float]) -> tuple[float | None, float | None]:
    """Return the grid that most stamps lie on, seconds, and the share of those that do, percent.

    >>> _grid([0.0, 0.0, 3.0, 6.001, 8.999, 9.0, 9.0, 12.0, 13.7, 15.0, 15.0])
    (3.0, 90.9)
    >>> _grid([0.1, 0.9, 2.3, 3.1, 5.5, 6.2, 7.7, 8.1, 9.9, 11.3])
    (None, None)
    """
    times = np.sort(np.array(times_s))
    if len(times) < LEAST_STAMPS:
        return None, None
    units, counts = np.unique(np.round(times / UNIT_S), return_counts=True)
    gaps, many = np.unique(np.round(np.diff(units) * UNIT_S, 2), return_counts=True)
    usual_s = [float(gaps[many.argmax()])] if len(gaps) else []
    phases_s = times - float(units[counts.argmax()]) * UNIT_S
    shares: dict[float, float] = {}
    for grid_s in (*GRIDS_S, *(gap_s for gap_s in usual_s if gap_s >= min(GRIDS_S))):
        places = phases_s / grid_s
        off_s = np.abs(places - np.round(places)) * grid_s
        if len(np.unique(np.round(places))) > 2:
            shares[grid_s] = float((off_s <= UNIT_S / 2).mean())
    most = max(shares.values(), default=0.0)
    if most < LEAST_ON_GRID:
        return None, None
    coarsest_s = max(grid_s for grid_s, share in shares.items() if share >= NEARLY * most)
    return coarsest_s, round(100 * shares[coarsest_s], 1)
