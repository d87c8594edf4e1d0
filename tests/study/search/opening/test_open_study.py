"""Checks which study new conditions open: one of their own, or none where others were measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from made.factories import identity_of_spec, make, open_made

from objectives.diagnosis.diagnosis import Diagnosis
from objectives.diagnosis.log import FailurePhase
from objectives.errors import BadInput
from objectives.evaluation import Failure
from study.search.ask import ask_trial
from study.search.tell import give_up, tell_failure
from study.spec.load import load
from study.spec.model import Spec
from study.storage.owner import PROCESS, Owner
from study.storage.trial import State


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    return load(make(tmp_path))


def opened(
    spec: Spec, storage: optuna.storages.BaseStorage, services: str, lines: list[str]
) -> optuna.Study:
    """Open the study of a spec whose services are these."""
    identity = identity_of_spec(spec) | {"services": {"llm": {"command": services}}}
    return open_made(spec, storage, identity, name="s", sampler="random", on_line=lines.append)


def with_fewer_values(spec: Spec) -> Spec:
    """Return a spec whose first parameter has one value less."""
    first, *others = spec.search_space.parameters
    fewer = replace(first, choices=first.choices[:-1])
    return replace(spec, search_space=replace(spec.search_space, parameters=(fewer, *others)))


def test_new_conditions_are_taken_over_where_nothing_was_measured_yet(spec: Spec) -> None:
    storage, lines = optuna.storages.InMemoryStorage(), list[str]()
    first = opened(spec, storage, "wrong", lines)
    for why in (State.NOT_STARTED, State.INTERRUPTED):
        give_up(first, ask_trial(first, spec.search_space)[0], why)
    assert lines == []
    second = opened(spec, storage, "right", lines)
    assert (second.study_name, len(second.trials), len(first.trials)) == ("s-2", 0, 2)
    assert lines == [
        "study s has measured nothing yet, so a new one beside it takes over what has changed: "
        "services"
    ]
    assert opened(spec, storage, "right", lines).study_name == "s-2"
    assert len(lines) == 1
    few = with_fewer_values(spec)
    assert opened(few, storage, "right", lines).study_name == "s-3"
    assert opened(few, storage, "other", lines).study_name == "s-4", "nor what it has grown from"


@pytest.mark.parametrize("is_ruled_out", [True, False])
def test_a_failure_that_counts_was_measured(spec: Spec, is_ruled_out: bool) -> None:
    storage = optuna.storages.InMemoryStorage()
    first = opened(spec, storage, "one", [])
    trial, _ = ask_trial(first, spec.search_space)
    diagnosis = Diagnosis("oom_startup", "llm", FailurePhase.START, 5.0, "out of memory")
    tell_failure(first, trial, Failure(diagnosis, is_ruled_out, {}))
    with pytest.raises(BadInput, match="under other conditions: services; run with --fresh"):
        opened(spec, storage, "two", [])
    few = with_fewer_values(spec)
    opened(few, storage, "one", [])
    with pytest.raises(BadInput, match="study s-2 was measured under other conditions"):
        opened(few, storage, "two", [])


def test_what_another_process_is_at_is_left_to_its_conditions(spec: Spec) -> None:
    storage = optuna.storages.InMemoryStorage()
    first = opened(spec, storage, "one", [])
    trial, _ = ask_trial(first, spec.search_space)
    trial.set_user_attr(PROCESS, replace(Owner.me(), host="far", boot="away").to_json())
    with pytest.raises(BadInput, match="under other conditions"):
        opened(spec, storage, "two", [])
