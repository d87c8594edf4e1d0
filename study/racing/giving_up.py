"""This module decides whether a candidate under way can still be the best; pure.

Segments of the window are paired: the same requests at the same times for every launch of a study.
So a difference of two launches in one segment has none of the noise of arrivals. A t test of the
paired differences, its noise pooled over the study, tells more of a few segments than
Wilcoxon's test does; study/guides/sampler.md has the simulation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from study.rule.student_t import t_quantile

CONFIDENCE = 0.994  # two-sided: a candidate as good as the best is given up at 0.3 % of the looks
LEAST_SEGMENTS = 2
# The variance of one launch's fitness over that of the noise of its own window: 13 % and 7 % of the
# LLM's p95 on an H100, rounded up for the capacity's noise. Launches of one configuration differ
# by more than their windows tell, and few studies measure one often enough to see by how much.
LAUNCH_OVER_WINDOW = 4.0


@dataclass(frozen=True, slots=True)
class Leader:
    """The leader is the best configuration so far that may win.

    Args:
        fitness: The mean over its launches.
        others: What is in it besides the terms of latency.
        segments: What those terms add in each segment of the window, the mean over its launches.
        launches: How many they are.
    """

    fitness: float
    others: float
    segments: tuple[float, ...]
    launches: int


@dataclass(frozen=True, slots=True)
class Noise:
    """The noise of a study is what it knows of how launches of one configuration differ.

    Args:
        segment: The variance of one segment's latency terms about what launch and segment explain.
        launch: The variance of the fitness of one launch.
        freedom: The degrees of freedom of the former.
    """

    segment: float
    launch: float
    freedom: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A candidate is a launch under way, with all that it has not measured at its best.

    Args:
        fitness: The most that its fitness can still become.
        others: What is in that besides the terms of latency.
        segments: What those terms add in each segment that is over.
    """

    fitness: float
    others: float
    segments: tuple[float, ...] = ()


def noise_of(launches: Sequence[Sequence[float]], replicates: tuple[float, int]) -> Noise | None:
    """Return the noise of a study; None where too little was launched to know of any.

    Args:
        launches: The latency terms of each segment of each launch; all have as many segments.
        replicates: The variance of the fitness of launches of one configuration, with its degrees
            of freedom; 0 of them where nothing was launched again.

    >>> noise_of([[0.30, 0.32], [0.20, 0.24], [0.25, 0.26]], (0.0, 0)).freedom
    2
    """
    if len(launches) < 2 or (count := len(launches[0])) < 2:
        return None
    means = [fmean(own) for own in launches]
    middle = fmean(means)
    shifts = [fmean(column) - middle for column in zip(*launches, strict=True)]
    squares = math.fsum(
        (value - mean - shift) ** 2
        for own, mean in zip(launches, means, strict=True)
        for value, shift in zip(own, shifts, strict=True)
    )
    freedom = (len(launches) - 1) * (count - 1)
    segment = squares / freedom
    measured, repeated = replicates
    assumed = LAUNCH_OVER_WINDOW * segment / count
    if segment == 0.0 and not repeated:
        return None
    return Noise(segment, max(assumed, measured) if repeated else assumed, freedom)


def is_dominated(candidate: Candidate, leader: Leader, noise: Noise) -> bool:
    """Return whether a candidate stays below the leader, whatever it has not measured yet.

    Two things must hold: the most that its fitness can become is below the lower bound of the
    leader's; and its segments are shown to be worse than the leader's by more than all the rest
    could make up for. Before the first segments the former must be clear of both launches' noise.
    """
    quantile = t_quantile(noise.freedom, CONFIDENCE)
    bound = leader.fitness - quantile * math.sqrt(noise.launch / leader.launches)
    if candidate.fitness >= bound:
        return False
    of_launches = noise.launch * (1.0 + 1.0 / leader.launches)
    count = min(len(candidate.segments), len(leader.segments))
    if count == 0:
        return candidate.fitness + quantile * math.sqrt(of_launches) < leader.fitness
    differences = [a - b for a, b in zip(candidate.segments, leader.segments, strict=False)]
    ahead = candidate.others - leader.others
    # answers that are still open make the last segment look better than it is: also without it
    for own in (differences, differences[:-1]):
        if len(own) < LEAST_SEGMENTS:
            break
        of_segments = noise.segment * (1.0 + 1.0 / leader.launches) / len(own)
        if ahead + fmean(own) + quantile * math.sqrt(of_segments + of_launches) < 0.0:
            return True
    return False
