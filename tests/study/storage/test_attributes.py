"""What a study keeps of itself is read by its type, and damage is said with its name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import optuna
import pytest

from objectives.errors import BadInput
from study.analysis.cost.launches import RUNS, of_study
from study.storage.attributes import GROWN_FROM, attribute, origin_of


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(study_name="s")


def test_an_attribute_is_read_or_empty_or_refused_by_its_name(study: optuna.Study) -> None:
    study.set_user_attr("a", {"b": 1})
    assert attribute(study, "a", dict) == {"b": 1}
    assert attribute(study, "none", dict) == {}
    with pytest.raises(BadInput, match=r"study s: what it keeps as 'a' cannot be read"):
        attribute(study, "a", list)


def test_a_study_grew_from_one_that_is_older(study: optuna.Study) -> None:
    assert origin_of(study) is None
    newer = optuna.create_study(study_name="s-2", storage=study._storage)
    newer.set_user_attr(GROWN_FROM, "s")
    origin = origin_of(newer)
    assert origin is not None and origin.study_name == "s"


@pytest.mark.parametrize("odd", [5, ["s"], "none", "s", "circle"])
def test_what_no_study_can_have_grown_from_is_refused(study: optuna.Study, odd: Any) -> None:
    other = optuna.create_study(study_name="circle", storage=study._storage)
    other.set_user_attr(GROWN_FROM, "s")
    study.set_user_attr(GROWN_FROM, odd)
    with pytest.raises(BadInput, match=GROWN_FROM):
        origin_of(study)


@pytest.mark.parametrize(
    "odd", [5, "x", [5], [{"at": "", "wall_s": 1.0, "trials": "x"}], [{"wall_s": 1.0}], {"a": 1}]
)
def test_odd_times_of_runs_are_refused(
    study: optuna.Study, odd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = SimpleNamespace(services={})
    monkeypatch.setattr("study.analysis.cost.launches.context_of", lambda _: context)
    study.set_user_attr(RUNS, odd)
    with pytest.raises(BadInput, match=RUNS):
        of_study(study)
