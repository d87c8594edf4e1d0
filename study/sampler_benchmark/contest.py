"""This module says which samplers meet on which problems, and with how many seeds."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from objectives.errors import BadInput, SetupError
from study.sampler_benchmark.problems import suites
from study.sampler_benchmark.problems.suites import PROBLEMS, problem, small
from study.sampler_benchmark.samplers import (
    RIVALS,
    SENTENCES,
    hindrance,
    missing_for_sampler,
    telling,
)

# the population of the tournament: a live study asks a generation before any of it is told
LIVE_BATCH = 5
SLOW = ("nevergrad", "ngopt", "tpe4")  # 2 to 5 ms a trial, and more in larger spaces
SLOWEST = ("gp", "smac")  # 30 to 100 ms a trial
LEAST = 5  # seeds, unless fewer are asked for
QUICK_SAMPLERS = ("tournament", "tpe", "random", "nsga2", "exhaustive")
QUICK_PROBLEMS = ("smooth", "noisy-cliff")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """A contest says what is to be run.

    Args:
        samplers: The names of the samplers.
        problems: The names of the problems.
        batches: How many trials are asked for at a time, for each run.
        seeds: How many seeds tables and synthetic problems get; suites and slow samplers get a
            quarter of them, gp and smac a twentieth, and a fortieth in large spaces; but at least
            5.
        to_target: Whether a run ends where it first meets the target: that is quick, and tells the
            trials to it and nothing else.
    """

    samplers: tuple[str, ...]
    problems: tuple[str, ...]
    batches: tuple[int, ...]
    seeds: int
    to_target: bool = False

    def seeds_of(self, name: str, sampler: str) -> range:
        """Return the seeds of one sampler on one problem, from 0."""
        share = 4 if sampler in SLOW or name in suites.PROBLEM_PACKAGES else 1
        if sampler in SLOWEST:
            share = 20 if small(name) else 40
        return range(max(min(LEAST, self.seeds), self.seeds // share))

    def runs(self) -> Iterator[tuple[str, str, int, int]]:
        """Yield problem, sampler, batch and seed of every run that makes sense."""
        for name in self.problems:
            space = problem(name, 0).space
            for batch in self.batches:
                for sampler in self.samplers:
                    if hindrance(sampler, space) is None:
                        yield from (
                            (name, sampler, batch, seed) for seed in self.seeds_of(name, sampler)
                        )

    def left_out(self) -> list[str]:
        """Return a sentence for each sampler that takes no part in a problem."""
        spaces = {name: problem(name, 0).space for name in self.problems}
        problems: dict[tuple[str, str], list[str]] = {}
        for name, space in spaces.items():
            for sampler in self.samplers:
                if why := hindrance(sampler, space):
                    problems.setdefault((sampler, why), []).append(name)
        return [
            f"{sampler} takes no part in {', '.join(names)}: {why}"
            for (sampler, why), names in problems.items()
        ]


def available(
    names: Sequence[str] | None,
    choices: Sequence[str],
    missing: Callable[[str], str | None],
    what: str,
) -> tuple[tuple[str, ...], list[str]]:
    """Return the names, or all choices that can be had here; and why the others cannot.

    Args:
        names: The names that the user asks for; none for all.
        choices: All names that there are.
        missing: Returns the sentence that says what a name lacks here, or None.
        what: What the names are of, for errors.

    Raises:
        BadInput: A name is unknown.
        SetupError: One of the names needs a package that is not here.
    """
    for name in names or ():
        if name not in choices:
            raise BadInput(f"unknown {what} {name!r}; choose of {', '.join(choices)}")
        if why := missing(name):
            raise SetupError(why)
    chosen = tuple(dict.fromkeys(names or choices))
    reasons = [why for n in chosen if (why := missing(n))]
    return tuple(n for n in chosen if not missing(n)), reasons


def entered(
    samplers: Sequence[str] | None,
    problems: Sequence[str] | None,
    batches: Sequence[int] = (1, LIVE_BATCH),
    seeds: int = 200,
    *,
    quick: bool = False,
    to_target: bool = False,
) -> tuple[Contest, list[str]]:
    """Return the contest of these samplers and problems, and a sentence for each that is not in it.

    By default all take part that can be had here, or with `quick` the few quick ones.

    Raises:
        BadInput: A name is unknown.
        SetupError: A package is missing that a name needs, or that draws.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise SetupError("figures need matplotlib; python -m pip install -e '.[bench]'")
    if quick:
        samplers, problems = samplers or QUICK_SAMPLERS, problems or QUICK_PROBLEMS
    usual = tuple(name for name in PROBLEMS if name not in suites.BY_NAME)
    chosen, without = available(samplers, RIVALS, missing_for_sampler, "sampler")
    fields, also = available(
        problems or None, PROBLEMS if problems else usual, suites.missing_for_problem, "problem"
    )
    contest = Contest(
        samplers=chosen,
        problems=fields,
        batches=tuple(dict.fromkeys(batches)),
        seeds=seeds,
        to_target=to_target,
    )
    return contest, [*without, *also]


def telling_notes(samplers: Sequence[str]) -> list[str]:
    """Return a sentence for each way in which samplers are told of what does not fit."""
    ways = {way: [s for s in samplers if telling(s) == way] for way in SENTENCES}
    return [
        f"what does not fit, {', '.join(who)}: {SENTENCES[way]}" for way, who in ways.items() if who
    ]
