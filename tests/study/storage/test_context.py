"""Checks that a study keeps its context whole and gives it back.

One that cannot be read says what to do.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from made.factories import context_of_spec, make
from processes.commands import ROOT

from objectives.errors import BadInput
from objectives.fitness import PRESETS
from objectives.plain_data.infinity import plain
from objectives.plain_data.masked import masked_service
from objectives.plain_data.names_of_0_1 import current_workload
from objectives.services import LlmService, SttService
from objectives.traffic.workload import Workload
from study.spec.load import load
from study.spec.model import FitnessRule, Gates
from study.storage.context import CONTEXT_ATTRIBUTE, StudyContext, context_of, keep


@pytest.fixture
def context(tmp_path: Path) -> StudyContext:
    spec = load(make(tmp_path))
    spec = replace(spec, fitness=replace(spec.fitness, weights={**PRESETS["balanced"], "stt": 0.5}))
    return context_of_spec(
        spec,
        server_env={"A": "1"},
        held_mib=300,
        git_commit="abc",
    )


def test_a_question_is_read_back_as_it_was_kept(context: StudyContext) -> None:
    study = optuna.create_study()
    keep(study, context)
    assert context_of(study) == context


def test_a_context_is_plain_data_and_back(context: StudyContext) -> None:
    assert StudyContext.from_json(json.loads(json.dumps(context.to_json()))) == context


def test_studies_of_version_0_1_are_read_whole(tmp_path: Path) -> None:
    """They lose and change nothing; a key that came later has its default."""
    shutil.copy(ROOT / "tests/data/h100/h100_studies.db", tmp_path)
    storage = f"sqlite:///{tmp_path}/h100_studies.db"
    names = optuna.get_all_study_names(storage)
    assert len(names) == 2
    for name in names:
        study = optuna.load_study(study_name=name, storage=storage)
        data = study.user_attrs[CONTEXT_ATTRIBUTE]
        assert "ladder_s" in data["workload"]
        slo, workload = data.pop("slo"), current_workload(data["workload"])
        assert slo and workload["ramp_s"] == 0
        known = {
            **data,
            "workload": workload | {"turns_per_s": 0.0},
            "limits": {},
            "claim": "either",
            "has_today": True,
        }
        whole = with_later_keys(known)
        whole["services"] = {n: masked_service(s) for n, s in whole["services"].items()}
        assert context_of(study).to_json() == whole


def with_later_keys(data: dict[str, Any]) -> dict[str, Any]:
    """Return a context of an earlier version with the keys that came later, at their defaults."""
    sections = {"workload": Workload(), "gates": Gates(), "fitness": FitnessRule()}
    services = {"llm": LlmService(), "stt": SttService()}

    def whole(defaults: dict[str, Any], stored: dict[str, Any]) -> dict[str, Any]:
        return {name: {**plain(asdict(d)), **stored[name]} for name, d in defaults.items()}

    return {
        **data,
        **whole(sections, data),
        "services": {**data["services"], **whole(services, data["services"])},
        "tenants": [{"device": None, **tenant} for tenant in data["tenants"]],
        "other_devices": {},
    }


@pytest.mark.parametrize("data", [None, {"name": "a study"}, {"services": 3}])
def test_a_study_that_does_not_say_what_it_asked_is_refused_with_the_way_out(data: object) -> None:
    study = optuna.create_study()
    if data is not None:
        study.set_user_attr(CONTEXT_ATTRIBUTE, data)
    with pytest.raises(BadInput, match="on it once more"):
        context_of(study)
