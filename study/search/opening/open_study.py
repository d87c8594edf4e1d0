"""This module opens the Optuna study of a spec.

It is new, resumed, or grown from an earlier one whose measurements still hold.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning
from optuna.storages import BaseStorage

from objectives.errors import BadInput
from objectives.search_space.space import Space
from study.search.opening.carry_over import judged_again
from study.search.others import elsewhere
from study.storage.attributes import GROWN_FROM, IDENTITY, attribute, origin_of
from study.storage.comparability import differing_names
from study.storage.trial import Trial
from study.storage.trials import counted


def succession(storage: BaseStorage, name: str) -> list[str]:
    """Return which of the studies `name`, `name-2`, ... exist, oldest first."""
    names = set(optuna.get_all_study_names(storage))
    return [n for n in (name, *(f"{name}-{i}" for i in range(2, len(names) + 2))) if n in names]


def open_study(
    space: Space,
    scoring: Mapping[str, Any],
    identity: Mapping[str, Any],
    *,
    storage: BaseStorage,
    name: str,
    sampler_name: str,
    seed: int,
    fresh: bool,
    folder: Path,
    on_line: Callable[[str], None] = lambda _: None,
) -> optuna.Study:
    """Open the newest of `name`, `name-2`, ..., or create a study of that name.

    A changed list of values, weight or limit opens the next one and carries every measurement over;
    a limit, where the replies that were kept show what it makes of each. Where nothing was measured
    yet, any other condition opens the next one too.

    Args:
        space: What is searched.
        scoring: What turns measurements into values.
        identity: What makes two trials comparable.
        storage: It holds the studies.
        name: The name of the first of them.
        sampler_name: It is noted in a new study; whoever opens it sets the sampler itself.
        seed: It is noted likewise.
        fresh: Whether to open a new study beside one of other conditions.
        folder: The folder of the study.db, where the replies of its launches lie.
        on_line: It is told of conditions that are taken over.

    Raises:
        BadInput: What was measured cannot be compared; it names what differs.
    """
    seen = [*succession(storage, name)]
    studies = [optuna.load_study(study_name=n, storage=storage) for n in seen]
    unfinished = None
    if (
        studies
        and IDENTITY not in studies[-1].user_attrs
        and not studies[-1].get_trials(deepcopy=False)
    ):
        unfinished = studies.pop()  # a process died while it made this one
    old = studies[-1] if studies and not fresh else None
    shape = {k: repr(d) for k, d in space.distributions().items()}
    basis = {"distributions": shape, "scoring": scoring}
    if old is not None:
        differing = differing_names(attribute(old, IDENTITY, dict), identity)
        if differing == ["limits"]:
            judged_again(old, identity["limits"], folder)
        elif differing and _is_untouched(old):
            on_line(
                f"study {old.study_name} has measured nothing yet, so a new one beside it takes "
                f"over what has changed: {', '.join(differing)}"
            )
            old = None
        elif differing:
            raise _not_comparable(old, differing)
        if old is not None and not differing and old.user_attrs.get("basis") == basis:
            return old
    new = unfinished or _created(storage, name, seen)
    if new is None:  # another process has made it at the same moment
        return open_study(
            space,
            scoring,
            identity,
            storage=storage,
            name=name,
            sampler_name=sampler_name,
            seed=seed,
            fresh=fresh,
            folder=folder,
            on_line=on_line,
        )
    with warnings.catch_warnings():
        # names on the dashboard's axes, nothing more
        warnings.simplefilter("ignore", ExperimentalWarning)
        new.set_metric_names(["fitness"])
    if old is not None:
        new.set_user_attr(GROWN_FROM, old.study_name)
        for key in ("ramp_range", "device", "cards"):
            if key in old.user_attrs:
                new.set_user_attr(key, old.user_attrs[key])
    for key, value in (("basis", basis), ("sampler", sampler_name), ("seed", seed)):
        new.set_user_attr(key, value)
    new.set_user_attr(IDENTITY, dict(identity))  # last: with it the study is made
    return new


def known_trials(storage: BaseStorage, name: str, conditions: Mapping[str, Any]) -> list[Trial]:
    """Return what the newest of `name`, `name-2`, ... tells a run whose spec has these conditions.

    Raises:
        BadInput: It was measured under others; it names what differs.
    """
    if not (names := succession(storage, name)):
        return []
    study = optuna.load_study(study_name=names[-1], storage=storage)
    if _is_untouched(study):
        return []
    differing = differing_names(attribute(study, IDENTITY, dict), conditions)
    if differing and differing != ["limits"]:
        raise _not_comparable(study, differing)
    return counted(study)


def _not_comparable(study: optuna.Study, differing: Sequence[str]) -> BadInput:
    return BadInput(
        f"study {study.study_name} was measured under other conditions: {', '.join(differing)}; "
        "run with --fresh to open a new study beside it (nothing is deleted)"
    )


def _is_untouched(study: optuna.Study) -> bool:
    """Tell whether no trial of a study, or of one it has grown from, counts or may be under way."""
    origin = origin_of(study)
    is_own = not counted(study) and not elsewhere(study)
    return is_own and (origin is None or _is_untouched(origin))


def _created(storage: BaseStorage, name: str, seen: Sequence[str]) -> optuna.Study | None:
    """Create a study of the first free name in the succession.

    It is None where that name is not free now, or another one was made since those were seen.
    """
    names = set(optuna.get_all_study_names(storage))
    if names.intersection(succession(storage, name)) != set(seen):
        return None
    free = next(
        n for n in (name, *(f"{name}-{i}" for i in range(2, len(names) + 3))) if n not in names
    )
    try:
        return optuna.create_study(study_name=free, storage=storage, direction="maximize")
    except DuplicatedStudyError:
        return None
