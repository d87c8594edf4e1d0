"""The files of a study are found where the study says, also where its storage lies elsewhere."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import optuna
import pytest
from made.factories import make
from processes.commands import run_study

from objectives.errors import BadInput
from study.cli.say import note
from study.dashboard.server import dashboard_of
from study.storage.artifacts import ATTACHMENTS, SeveralFolders
from study.storage.find import (
    DEFAULT,
    FOLDER,
    folder_of,
    keep_folder,
    left_out,
    promotions_of,
    storage_url,
    study_in,
)


def test_with_a_storage_elsewhere_promotions_and_logs_are_found(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/elsewhere/s.db"
    (tmp_path / "elsewhere").mkdir()
    ran = run_study(make(tmp_path), "--out", tmp_path / "out", "--storage", url)
    assert ran.returncode == 0, ran.stderr
    study = study_in(url)
    assert folder_of(url, study) == tmp_path / "out" / "made"
    assert [p for folder in promotions_of(url, study) for p in folder.glob("*.yaml")]
    kept = next((tmp_path / "out" / "made" / ATTACHMENTS).iterdir()).name
    both = SeveralFolders([folder_of(url), folder_of(url, study)])
    with both.open_reader(kept) as file:
        assert file.read()
    request: dict[str, Any] = {"PATH_INFO": "/api/studies"}
    setup_testing_defaults(request)
    assert b"".join(dashboard_of(url, pytest.fail)(request, lambda *_: lambda _: None))


def test_a_study_that_was_moved_with_its_file_is_found_beside_it(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    url = f"sqlite:///{tmp_path}/old/study.db"
    study = optuna.create_study(storage=url)
    keep_folder(study, tmp_path / "old", url)
    shutil.move(tmp_path / "old", tmp_path / "new")
    assert folder_of(f"sqlite:///{tmp_path}/new/study.db", study) == tmp_path / "new"


@pytest.mark.parametrize("odd", [None, 5, [], "/nowhere", "\x00"])
def test_a_folder_that_is_none_is_that_of_the_file(tmp_path: Path, odd: object) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    study = optuna.create_study(storage=url)
    study.set_user_attr(FOLDER, odd)
    assert folder_of(url, study) == tmp_path


def test_a_file_whose_tables_are_damaged_is_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "study.db"
    optuna.create_study(storage=f"sqlite:///{file}")
    damaged = file.read_bytes().replace(b"CREATE TABLE studies", b"CREATE \x8eABLE studies")
    file.write_bytes(damaged)
    with pytest.raises(BadInput) as refused:
        study_in(storage_url(str(file)))
    assert "\n" not in str(refused.value)


def test_where_the_default_study_is_taken_the_newest_of_your_own_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=r"run python scripts/run_study\.py first"):
        storage_url(None)
    for at, name in enumerate(("newer", "h200_recorded", "older")):
        file = tmp_path / "artifacts" / name / "study.db"
        file.parent.mkdir(parents=True)
        optuna.create_study(storage=f"sqlite:///{file}")
        os.utime(file, (1e9 - at, 1e9 - at))
    note(left_out())
    said = capsys.readouterr()
    assert (said.out, len(said.err.splitlines())) == ("", 1)
    assert "the study that ships, artifacts/h200_recorded/study.db; to see" in said.err
    assert said.err.endswith(" artifacts/newer/study.db\n")
    DEFAULT.unlink()
    with pytest.raises(BadInput, match=r"; name artifacts/newer/study\.db"):
        storage_url(None)
    for name in ("newer", "older"):
        shutil.rmtree(tmp_path / "artifacts" / name)
    note(left_out())
    assert capsys.readouterr().err == ""


def test_before_the_study_that_ships_has_run_a_command_that_names_it_says_how_to_run_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for named in (None, str(DEFAULT), str(DEFAULT.parent)):
        with pytest.raises(BadInput, match=r"run python scripts/run_study\.py first"):
            storage_url(named)
