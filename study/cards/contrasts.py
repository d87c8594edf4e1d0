"""Contrasts say by how much cards differ in a figure, from all that several of them measured.

The model is additive: a launch is the sum of its configuration, its card and noise. What was
launched once says nothing here. Source: Montgomery, Design and Analysis of Experiments (2017),
section 4.4, incomplete blocks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from study.rule.student_t import t_quantile

SAME = 1e-9  # a greater standard deviation is noise; a smaller one shows how figures are rounded


class LaunchFigure(NamedTuple):
    """One launch has a figure: a card, what was launched, and the value."""

    card: str
    configuration: str
    value: float


class Contrast(NamedTuple):
    """A contrast is by how much a card's figure is more than the first card's.

    Its interval is that of 95 %; None where nothing tells the noise.
    """

    difference: float
    interval: tuple[float, float] | None


def is_beyond_noise(interval: tuple[float, float] | None) -> bool | None:
    """Return whether an interval leaves 0 out; None where there is none."""
    return None if interval is None else not interval[0] <= 0.0 <= interval[1]


def contrasts(launches: Sequence[LaunchFigure], cards: Sequence[str]) -> dict[str, Contrast]:
    """Return the contrast of each card but the first.

    Args:
        launches: What was measured; that of other cards is left out.
        cards: The cards, which have all launched one configuration.

    >>> a, b = ([LaunchFigure(c, "x", v) for v in values] for c, values in
    ...         {"a": (1.0, 3.0), "b": (5.0, 7.0)}.items())
    >>> {k: (round(d), [round(x, 1) for x in ends]) for k, (d, ends) in
    ...  contrasts([*a, *b], ["a", "b"]).items()}  # 4.303 x sqrt(2) x sqrt(1 / 2 + 1 / 2)
    {'b': (4, [-2.1, 10.1])}
    """
    place = {card: n for n, card in enumerate(cards)}
    mine = [launch for launch in launches if launch.card in place]
    names = {name: n for n, name in enumerate(dict.fromkeys(x.configuration for x in mine))}
    if len(cards) < 2:
        return {}
    card = np.array([place[x.card] for x in mine])
    what = np.array([names[x.configuration] for x in mine])
    value = np.array([x.value for x in mine])
    count = np.zeros((len(names), len(cards)))
    np.add.at(count, (what, card), 1.0)
    launched = count.sum(axis=1)
    rest = value - (np.bincount(what, value) / launched)[what]
    seen = count[launched > 1]
    normal = np.diag(seen.sum(axis=0)) - seen.T @ (seen / launched[launched > 1, None])
    inverse = np.linalg.inv(normal[1:, 1:])
    right = np.bincount(card, rest, len(cards))[1:]
    differences = inverse @ right
    freedom = len(mine) - len(names) - len(cards) + 1
    squares = float(rest @ rest - differences @ right)
    is_noise = freedom > 0 and squares > freedom * SAME**2
    halves = [math.nan] * len(differences)
    if is_noise:
        errors = np.sqrt(squares / freedom * np.diag(inverse))
        halves = [float(half) for half in t_quantile(freedom) * errors]
    return {
        name: Contrast(float(d), (float(d) - half, float(d) + half) if is_noise else None)
        for name, d, half in zip(cards[1:], differences, halves, strict=True)
    }
