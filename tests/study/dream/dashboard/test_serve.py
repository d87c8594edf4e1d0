"""Checks the one dashboard over all experiments: where each stands, and the studies of each."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made.dream import dream_file, entry
from processes.commands import run_script
from processes.forks import forking
from rigs.dashboards import dashboard_of


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run two experiments for a cycle; a third is broken and a fourth has never run."""
    folder = tmp_path_factory.mktemp("rotation")
    entries = (
        entry(),
        entry(name="hill", search_space={"x": [1, 2, 3]}),
        entry(name="bad", seed=-1),
        entry(name="off", enabled=False),
    )
    path, log = dream_file(folder, *entries), folder / "log"
    line = ("--config", path, "--logdir", log, "--out", folder / "art", "--cycles", 1)
    with pytest.MonkeyPatch.context() as patch:
        forking(patch)
        ran = run_script("run_dream.py", *line)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return log


@pytest.fixture(scope="module")
def served(logdir: Path) -> Iterator[str]:
    with dashboard_of(logdir, is_fork=True) as url:
        yield url


def get(url: str, method: str = "GET") -> bytes:
    request = urllib.request.Request(url, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        body: bytes = answer.read()
    return body


def studies(served: str) -> dict[str, Any]:
    data = json.loads(get(f"{served}/api/studies"))
    return {s["study_name"]: s for s in data["study_summaries"]}


def test_the_first_page_shows_every_experiment(served: str) -> None:
    page = get(served).decode()
    for text in ("spica_toy", "hill", "bad", "skipped: ", "off", "disabled", "cycle 1"):
        assert text in page, text
    for name in ("spica_toy", "hill"):
        assert f">{name}</a>" in page
    assert ">off</a>" not in page and "no runner runs" in page


def test_every_study_has_a_number_of_its_own_that_leads_to_its_trials(served: str) -> None:
    both = studies(served)
    assert set(both) == {"toy", "hill"}
    numbers = {name: s["study_id"] for name, s in both.items()}
    assert len(set(numbers.values())) == 2
    page = get(served).decode()
    for name, number in numbers.items():
        detail = json.loads(get(f"{served}/api/studies/{number}"))
        assert (detail["name"], len(detail["trials"])) == (name, 3)
        assert {t["study_id"] for t in detail["trials"]} == {number}
        assert f"/dashboard/studies/{number}" in page
        assert get(f"{served}/csv/{number}").startswith(b"Number,State")
    assert b"<html" in get(f"{served}/dashboard/studies/{numbers['hill']}")


def test_what_names_no_study_is_refused(served: str) -> None:
    for path, code in (
        ("api/trials/1/tell", 405),
        ("api/studies", 405),
        ("api/studies/999999", 404),
    ):
        method = "GET" if code == 404 else "POST"
        with pytest.raises(urllib.error.HTTPError) as error:
            get(f"{served}/{path}", method)
        with error.value as answer:
            assert answer.code == code


def test_a_folder_that_is_no_runners_is_one_line(tmp_path: Path) -> None:
    ran = run_script("dashboard.py", tmp_path)
    assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1)
    assert "is no folder of logs of scripts/run_dream.py" in ran.stderr
