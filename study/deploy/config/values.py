"""From a promotion's parameters to typed, bounded text: the only way a value reaches a unit. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from objectives.errors import BadInput
from study.deploy.config.deployment import NAMES, Deployment, Name, Setting
from study.text import meant, one_line

Values = Mapping[
    str, Mapping[str, str | None]
]  # by service and parameter; None: the unit does not set it


@dataclass(frozen=True, slots=True)
class Assignment:
    """One parameter of one service with the exact text that its flag or variable gets; None: it is not set."""

    service: Name
    parameter: str
    setting: Setting
    text: str | None

    def __str__(self) -> str:
        value = "(not set)" if self.text is None else self.text
        return f"{self.setting.shown}{' ' if self.setting.flag else ''}{value}"


def assignments(parameters: Mapping[str, Any], deployment: Deployment) -> tuple[Assignment, ...]:
    """What a promotion's parameters become, each checked against its type and bounds.

    raises: BadInput for a parameter that nothing maps, of the wrong type or out of bounds
    """
    mapped = {p: name for name in NAMES for p in deployment.service(name).set}
    found = []
    for parameter, value in parameters.items():
        if parameter not in mapped:
            shown = one_line(repr(parameter))[:80]
            raise BadInput(
                f"the promotion sets {shown}, which {deployment.path} does not map; {meant(parameter, mapped)}"
            )
        setting = deployment.service(mapped[parameter]).set[parameter]
        found.append(
            Assignment(mapped[parameter], parameter, setting, text_of(parameter, value, setting))
        )
    if not found:
        raise BadInput("the promotion sets no parameter; write a new one with scripts/run_study.py")
    return tuple(found)


def text_of(parameter: str, value: object, setting: Setting) -> str:
    """The text of one value.

    raises: BadInput where it is of another type, out of bounds or none of the choices

    >>> text_of("vllm_memory_util", 0.55, Setting(flag="-u", low=0.3, high=0.7))
    '0.55'
    """
    shown = one_line(repr(value))[:80]
    if setting.choices:
        if not isinstance(value, str) or value not in setting.choices:
            way_out = (
                f"choose {', '.join(setting.choices)}, or add it to `choices:` in the deployment"
            )
            raise BadInput(f"{parameter}: {shown} is not one of the choices; {way_out}")
        return setting.choices[value]
    low, high = setting.bounds(parameter)
    kinds: tuple[type, ...] = (int,) if setting.whole else (int, float)
    if type(value) not in kinds:
        raise BadInput(
            f"{parameter}: {shown} is no {'whole ' if setting.whole else ''}number; measure it anew"
        )
    number: int | float = value  # type: ignore[assignment]
    if low is None or high is None or not low <= number <= high:  # NaN is in no bounds
        raise BadInput(
            f"{parameter}: {shown} is out of bounds; it must be from {low:g} to {high:g}"
        )
    return str(number) if isinstance(number, int) else f"{number:g}"


def by_service(found: tuple[Assignment, ...]) -> dict[str, dict[str, str | None]]:
    """The same as plain values, for a version's record."""
    values: dict[str, dict[str, str | None]] = {name: {} for name in NAMES}
    for a in found:
        values[a.service][a.parameter] = a.text
    return values


def assigned(values: Values, deployment: Deployment) -> tuple[Assignment, ...]:
    """The inverse of `by_service`, for the parameters that the deployment still maps."""
    return tuple(
        Assignment(name, parameter, deployment.service(name).set[parameter], text)
        for name in NAMES
        for parameter, text in values.get(name, {}).items()
        if parameter in deployment.service(name).set
    )


def is_same(found: str | None, wanted: str | None) -> bool:
    """Whether two texts mean the same value.

    >>> is_same("0.50", "0.5"), is_same("base", "base.en"), is_same(None, "1"), is_same("nan", "nan")
    (True, False, False, True)
    """
    if found == wanted:
        return True
    try:
        return found is not None and wanted is not None and float(found) == float(wanted)
    except ValueError:
        return False
