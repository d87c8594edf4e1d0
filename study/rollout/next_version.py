"""The values of the version that a promotion would make."""

from __future__ import annotations

from study.rollout.admission import Admitted
from study.rollout.chain import Version
from study.rollout.deployment import NAMES
from study.rollout.values import Values, by_service


def next_values(current: Version | None, admitted: Admitted) -> Values:
    """What the promotion sets, over what earlier promotions set and this one leaves alone."""
    new = by_service(admitted.assigned)
    kept: Values = {} if current is None or current.is_own else current.values
    return {name: {**kept.get(name, {}), **new[name]} for name in NAMES}
