"""`WholeSpace` is what samplers have in common that know their space from the start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from objectives.errors import BadInput


class WholeSpace(BaseSampler):
    """This sampler knows its space from the start.

    Args:
        space: What is searched.
    """

    def __init__(self, space: Mapping[str, BaseDistribution]) -> None:
        self._space = dict(space)

    def infer_relative_search_space(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
    ) -> dict[str, BaseDistribution]:
        return self._space

    def sample_independent(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        raise BadInput(
            f"{param_name} ({param_distribution}) is not in the space "
            f"that {type(self).__name__} was given"
        )
