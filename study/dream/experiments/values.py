"""The values that an experiment searches are of any kind that YAML has, also lists."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution

from objectives.allocation import Scalar
from objectives.search_space.parameter import Parameter
from study.bounded_yaml import BadYaml, construct
from study.spec.search_space import read_range
from study.spec.yaml_node import YamlEntry

ADAPTIVE = "adaptive"  # a key of the ancestor's beside the parameters


@dataclass(frozen=True, slots=True)
class Values:
    """The values are parameters, of which some stand for what Optuna cannot hold.

    Args:
        parameters: The parameters; a composite one has JSON text for its choices.
        composite: The names of those.
    """

    parameters: tuple[Parameter, ...]
    composite: frozenset[str] = frozenset()

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """Return the Optuna distributions by Optuna's parameter names."""
        return {p.key: p.distribution for p in self.parameters}

    @property
    def size(self) -> int | None:
        """Return the number of candidates; None where a parameter is continuous."""
        sizes = [p.size for p in self.parameters]
        return None if None in sizes else math.prod(s for s in sizes if s is not None)

    def decode(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the candidate of a trial's stored parameters."""
        return {p.name: self._plain(p, params[p.key]) for p in self.parameters if p.key in params}

    def encode(self, candidate: Mapping[str, Any]) -> dict[str, Scalar]:
        """Return Optuna's parameters of a candidate.

        Raises:
            ValueError or KeyError: The candidate lies outside the space.
        """
        return {p.key: p.encode(self._stored(p, candidate[p.name])) for p in self.parameters}

    def _plain(self, parameter: Parameter, value: Scalar) -> Any:
        decoded = parameter.decode(value)
        return json.loads(str(decoded)) if parameter.name in self.composite else decoded

    def _stored(self, parameter: Parameter, value: Any) -> Any:
        return as_text(value) if parameter.name in self.composite else value


def as_text(value: Any) -> str:
    """Return a value as the JSON text that stands for it.

    >>> as_text({"b": [1, 2], "a": None})
    '{"a": null, "b": [1, 2]}'
    """
    return json.dumps(value, sort_keys=True, default=str)


def read_values(entry: YamlEntry) -> Values:
    """Return the values of a `search_space:`, or refuse it by file and line."""
    entries = {k: v for k, v in entry.items().items() if k != ADAPTIVE}
    if not entries:
        raise entry.wrong("it is empty", "name a parameter with the values to try")
    parameters, composite = [], set()
    for name, values in entries.items():
        if values.is_mapping and values.at("initial").is_present:
            values = values.at("initial")  # noqa: PLW2901  as the ancestor's adaptive spaces write it
        if values.is_mapping:
            parameters.append(read_range(values, name, {}))
            continue
        elements = values.elements()
        if not elements:
            raise values.wrong("the list is empty", "name at least one value")
        plain = [plain_value(e) for e in elements]
        is_plain = len({_kind(value) for value in plain}) == 1 and _kind(plain[0]) is not None
        if not is_plain:
            composite.add(name)
        choices: list[Any] = [v if is_plain else as_text(v) for v in plain]
        for n, (e, choice) in enumerate(zip(elements, choices, strict=True)):
            if choice in choices[:n]:
                raise e.wrong(f"{e.quotation} is listed twice", "remove one")
        parameters.append(Parameter(name, tuple(choices)))
    return Values(tuple(parameters), frozenset(composite))


def plain_value(entry: YamlEntry) -> Any:
    """Return a value of any kind as plain Python.

    Raises:
        BadInput: It is of a type of Python's, no date, or no finite number.
    """
    try:
        value = construct(entry.node)
    except (BadYaml, ValueError, OverflowError) as error:
        what = error.what if isinstance(error, BadYaml) else str(error)
        raise entry.wrong(f"{entry.quotation} is no plain value ({what})", "quote text") from error
    if isinstance(value, float) and not math.isfinite(value):
        raise entry.wrong(f"{entry.quotation} is no finite number", "write a number")
    return value


def _kind(value: Any) -> str | None:
    """Name what Optuna can hold and order; None for a list, a mapping, null or a date."""
    match value:
        case bool() | str():
            return type(value).__name__
        case int() | float() if math.isfinite(value):
            return "number"
    return None
