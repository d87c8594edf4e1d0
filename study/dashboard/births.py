"""This module reads where each trial of a tournament comes from."""

from __future__ import annotations

from dataclasses import dataclass

import optuna


@dataclass(frozen=True, slots=True)
class Birth:
    """The birth says where a trial of the tournament comes from.

    Args:
        number: Its number in the study.
        generation: The generation in which it was proposed.
        role: Such as random, child, fresh, enqueued, repeat or replicate.
        parents: The numbers of the trials that it was crossed from.
    """

    number: int
    generation: int
    role: str
    parents: tuple[int, ...]


def births(study: optuna.Study) -> list[Birth]:
    """Return the birth of every trial that the tournament proposed; none for another sampler."""
    return [
        Birth(
            number=trial.number,
            generation=trial.user_attrs["generation"],
            role=str(trial.user_attrs.get("role", "")),
            parents=_numbers(trial.user_attrs.get("parents")),
        )
        for trial in study.get_trials(deepcopy=False)
        if isinstance(trial.user_attrs.get("generation"), int)
    ]


def _numbers(stored: object) -> tuple[int, ...]:
    """Return the numbers of trials that are stored; none of what is damaged."""
    listed = stored if isinstance(stored, list) else []
    return tuple(number for number in listed if isinstance(number, int))
