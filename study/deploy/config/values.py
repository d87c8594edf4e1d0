"""A promotion's parameters become typed, bounded text here: the only way a value reaches a unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from objectives.allocation import OF_MEMORY
from objectives.errors import BadInput
from study.deploy.config.deployed import Binding
from study.deploy.config.deployment import Deployment
from study.text import meant, one_line

# by service and parameter; None: the unit does not set it
Values = Mapping[str, Mapping[str, str | None]]


@dataclass(frozen=True, slots=True)
class Assignment:
    """An assignment gives the flag or variable of one parameter its text.

    Args:
        service: The service's name.
        parameter: The promotion's parameter.
        binding: The flag or variable that it becomes.
        text: The exact text; None: it is not set.
    """

    service: str
    parameter: str
    binding: Binding
    text: str | None

    def __str__(self) -> str:
        value = "(not set)" if self.text is None else self.text
        return f"{self.binding.label}{' ' if self.binding.is_flag else ''}{value}"


def assignments(parameters: Mapping[str, Any], deployment: Deployment) -> tuple[Assignment, ...]:
    """Turn a promotion's parameters into text, each checked against its type and bounds.

    Raises:
        BadInput: Nothing maps a parameter, or its value is of the wrong type or out of bounds.
    """
    mapped = {p: name for name, service in deployment.services.items() for p in service.set}
    items = []
    for parameter, value in parameters.items():
        if parameter not in mapped and parameter in deployment.not_set:
            continue
        if parameter not in mapped:
            others = {*OF_MEMORY} - {parameter} if parameter in OF_MEMORY else set()
            if others & mapped.keys() & parameters.keys():
                continue  # the other unit says it
            name = one_line(repr(parameter))[:80]
            raise BadInput(
                f"the promotion sets {name}, which {deployment.path} does not map; "
                + meant(parameter, mapped)
            )
        binding = deployment.services[mapped[parameter]].set[parameter]
        items.append(
            Assignment(mapped[parameter], parameter, binding, text_of(parameter, value, binding))
        )
    if not items:
        raise BadInput("the promotion sets no parameter; write a new one with scripts/run_study.py")
    return tuple(items)


def text_of(parameter: str, value: object, binding: Binding) -> str:
    """Return the text of one value.

    Raises:
        BadInput: It is of another type, out of bounds or none of the choices.

    >>> text_of("vllm_memory_util", 0.55, Binding(flag="-u", low=0.3, high=0.7))
    '0.55'
    """
    text = one_line(repr(value))[:80]
    if binding.choices:
        value = str(value).lower() if isinstance(value, bool) else value
        if not isinstance(value, str) or value not in binding.choices:
            names = ", ".join(binding.choices)
            way_out = f"choose {names}, or add it to `choices:` in the deployment"
            raise BadInput(f"{parameter}: {text} is not one of the choices; {way_out}")
        return binding.choices[value]
    low, high = binding.bounds(parameter)
    types: tuple[type, ...] = (int,) if binding.whole else (int, float)
    if type(value) not in types:
        raise BadInput(
            f"{parameter}: {text} is no {'whole ' if binding.whole else ''}number; measure it anew"
        )
    number: int | float = value  # type: ignore[assignment]
    if low is None or high is None or not low <= number <= high:  # NaN is in no bounds
        raise BadInput(f"{parameter}: {text} is out of bounds; it must be from {low:g} to {high:g}")
    return str(number) if isinstance(number, int) else f"{number:g}"


def assigned(values: Values, deployment: Deployment) -> tuple[Assignment, ...]:
    """Return a version's values as assignments, as far as the deployment still maps them."""
    return tuple(
        Assignment(name, parameter, service.set[parameter], text)
        for name, service in deployment.services.items()
        for parameter, text in values.get(name, {}).items()
        if parameter in service.set
    )


def is_same(text: str | None, other: str | None) -> bool:
    """Tell whether two texts mean the same value.

    >>> is_same("0.50", "0.5"), is_same("base", "base.en"), is_same(None, "1")
    (True, False, False)
    >>> is_same("nan", "nan")
    True
    """
    if text == other:
        return True
    try:
        return text is not None and other is not None and float(text) == float(other)
    except ValueError:
        return False
