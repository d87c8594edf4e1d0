"""Checks that the study of an experiment can be looked at like any other."""

from pathlib import Path

import optuna
import pytest
from made.dream import experiment

from objectives.errors import BadInput
from study.dream.generic.open_study import open_generic
from study.storage.find import refuse_empty, refuse_without_studies
from study.storage.url import open_storage, sqlite_url


def test_the_dashboard_shows_it_and_a_report_says_that_it_is_none_of_ours(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "study.db")
    storage = open_storage(url)
    with pytest.raises(BadInput, match="holds no study"):
        refuse_without_studies(url, storage)
    open_generic(experiment(tmp_path), storage, lambda _: None)
    refuse_without_studies(url, storage)
    with pytest.raises(BadInput, match="holds no study"):
        refuse_empty(url, storage)


def test_a_study_that_a_process_died_making_is_made_to_its_end(tmp_path: Path) -> None:
    storage = open_storage(sqlite_url(tmp_path / "study.db"))
    chosen = experiment(tmp_path)
    open_generic(chosen, storage, lambda _: None)
    other = experiment(tmp_path, seed=1, search_space={"x": [1, 2]})
    optuna.create_study(study_name="toy-2", storage=storage, direction="maximize")
    assert open_generic(other, storage, lambda _: None).study_name == "toy-2"
    assert len(optuna.get_all_study_names(storage)) == 2
