"""This module tabulates one value of a parameter against each other one, with 95 % intervals."""

from __future__ import annotations

from collections.abc import Sequence

from objectives.allocation import Scalar
from objectives.errors import BadInput
from objectives.figures import figure
from study.analysis.main_effects.additive_model import (
    NotEstimableError,
    Observations,
    is_time,
    sort_key,
)
from study.analysis.main_effects.effects import level_differences
from study.report.effects.observations import AnyLaunch, observations
from study.report.effects.table import EffectsTable, number_in_words, value_in_words
from study.wording.allocations import label

WAYS = (number_in_words, value_in_words)  # in which a person may write a value
CONTRAST_NOTE = (
    "all other parameters' values weighing the same; 95 % intervals, each for itself: of several, "
    "some leave out 1 (or 0) by chance"
)


def versus(launches: Sequence[AnyLaunch], metrics: Sequence[str], choice: str) -> EffectsTable:
    """Tabulate each other value of a parameter against one, a time as a factor.

    Args:
        choice: The parameter as a spec names it, or the card, and a value:
            "vllm_memory_util=0.525".

    Raises:
        BadInput: That value was not measured beside others.
        SetupError: statsmodels is not installed.
    """
    observed, _ = observations(launches)
    parameter, value = _parameter_and_value(observed, choice)
    columns = dict[str, dict[Scalar, tuple[float, ...]]]()
    notes = list[str]()
    for metric in metrics:
        if len({m.figure(metric) for _, m in observed} - {None}) < 2:
            notes.append(f"{figure(metric).title}: the same wherever it was measured")
            continue
        try:
            columns[metric] = level_differences(observed, metric, parameter, value)
        except NotEstimableError as why:
            notes.append(f"{figure(metric).title}: cannot be told, {why}")
    others = sorted({v for column in columns.values() for v in column}, key=sort_key)
    if not others:
        raise BadInput(f"--versus {choice}: {'; '.join(notes)}")
    rows = [
        (
            value_in_words(parameter, other),
            *(_interval(column.get(other), metric) for metric, column in columns.items()),
        )
        for other in others
    ]
    head = (f"against {value_in_words(parameter, value)}", *(figure(m).head for m in columns))
    return EffectsTable(head, tuple(rows), (CONTRAST_NOTE, *notes))


def _parameter_and_value(observed: Observations, choice: str) -> tuple[str, Scalar]:
    """Read NAME=VALUE, or raise BadInput with the names or the values that there are."""
    names = dict.fromkeys(name for setting, _ in observed for name in setting)
    name, has_value, text = choice.partition("=")
    parameter = next((n for n in names if name in (n, label(n))), None)
    if parameter is None or not has_value:
        raise BadInput(f"--versus {choice}: write NAME=VALUE, NAME one of {', '.join(names)}")
    values = sorted({s[parameter] for s, _ in observed if parameter in s}, key=sort_key)
    for value in values:
        if text in (str(value), *(words(parameter, value) for words in WAYS)):
            return parameter, value
    listed = ", ".join(map(str, values))
    raise BadInput(f"--versus {choice}: the values of {parameter} are {listed}")


def _interval(estimate: tuple[float, ...] | None, metric: str) -> str:
    """Write an estimate with the ends of its interval; a dash where there is none."""
    if estimate is None:
        return "-"
    middle, low, high = estimate
    if is_time(metric):
        return f"x {middle:.2f} ({low:.2f} to {high:.2f})"
    digits = figure(metric).digits
    return f"{middle:+,.{digits}f} ({low:+,.{digits}f} to {high:+,.{digits}f})"
