"""This module reads the attributes of a study, which anybody may have damaged, each by its type."""

from __future__ import annotations

from typing import TypeVar

import optuna

from objectives.errors import BadInput

GROWN_FROM = "grown_from"  # the name of the study whose measurements one took over
IDENTITY = "identity"  # what makes its trials comparable
T = TypeVar("T")


def attribute(study: optuna.Study, name: str, kind: type[T]) -> T:
    """Return an attribute of a study; an empty one of its type where it has none.

    Raises:
        BadInput: It is of another type.
    """
    value = study.user_attrs.get(name)
    if value is None:
        return kind()
    if not isinstance(value, kind):
        raise damaged(study, name)
    return value


def damaged(study: optuna.Study, name: str) -> BadInput:
    """Return what says that an attribute of a study cannot be read."""
    return BadInput(
        f"study {study.study_name}: what it keeps as {name!r} cannot be read; "
        "name another study, or open a new one with --fresh"
    )


def origin_of(study: optuna.Study) -> optuna.Study | None:
    """Return the study that this one has grown from; None where it began with nothing.

    Raises:
        BadInput: It names none, or itself by way of others.
    """
    origins, names = [study], {study.study_name}
    while name := attribute(origins[-1], GROWN_FROM, str):
        try:
            origins.append(optuna.load_study(study_name=name, storage=study._storage))
        except KeyError:  # there is none of that name
            raise damaged(study, GROWN_FROM) from None
        if name in names:
            raise damaged(study, GROWN_FROM)
        names.add(name)
    return origins[1] if len(origins) > 1 else None
