"""optuna-dashboard, in a headless browser, shows our notes, plots, and answer as the best trial."""

from __future__ import annotations

import json
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import optuna
import pytest
from made.factories import BEST, Outcome, make, timed
from made.studies import Shared, copied
from processes.commands import run_script, run_study
from rigs.browsers import headless_chromium, overflow_px
from rigs.dashboards import dashboard_of

from objectives.diagnosis.diagnosis import Diagnosis
from study.storage.context import CONTEXT_ATTRIBUTE

PLOTS = (
    "The space, as measured",
    "Latency against capacity",
    "Where the time went",
    "Lineage of the tournament",
    "Memory over time",
)


def wordy(share: float, size: str) -> Outcome:
    """Return the usual outcome, with a log line as long as real ones are."""
    outcome = timed(share, size)
    if not isinstance(outcome, Diagnosis):
        return outcome
    return replace(outcome, evidence=f"{outcome.evidence}, {'and so on ' * 25}")


@pytest.fixture(scope="module")
def database(shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    def build(folder: Path) -> None:
        ran = run_study(make(folder, wordy, repeats=1), "--out", folder / "out")
        assert ran.returncode == 0

    copy = copied(shared.folder("wordy", build), tmp_path_factory.mktemp("looked-at"))
    return copy / "out" / "made" / "study.db"


@pytest.fixture(scope="module")
def served(database: Path) -> Iterator[str]:
    with dashboard_of(database) as url:
        yield url


def detail(served: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{served}/api/studies/1", timeout=20) as answer:
        study: dict[str, Any] = json.load(answer)
    return study


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with headless_chromium() as chrome:
        yield chrome


def until(condition: Callable[[], bool], seconds: float = 40.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come up in time"
        time.sleep(0.2)


def page_text(browser: Any) -> str:
    return str(browser.execute_script("return document.body.textContent"))


def test_the_page_has_our_plots_and_calls_our_answer_the_best(served: str, browser: Any) -> None:
    browser.get(f"{served}/dashboard/studies/1")
    until(lambda: all(title in page_text(browser) for title in PLOTS))
    until(lambda: "Best Trial" in page_text(browser))
    assert "vllm_memory_util: 0.55, whisper_model_size: base" in page_text(browser)
    plot = "document.getElementById('user-defined-plot:space')"
    count = f"return {plot}.querySelectorAll('.heatmap-label').length"
    until(lambda: browser.execute_script(count) >= 9)
    assert "out of memory" in page_text(browser) and "00 MiB short" in page_text(browser)


def test_what_does_not_work_has_no_value_and_fills_no_panel(served: str) -> None:
    study = detail(served)
    pruned = [t for t in study["trials"] if t["state"] == "Pruned"]
    assert pruned and not [t for t in pruned if "values" in t or t["intermediate_values"]]
    assert not study["has_intermediate_values"]


def test_the_first_page_is_the_answer_and_leads_to_every_trial(served: str, browser: Any) -> None:
    browser.get(served)
    until(lambda: "The best candidate is 55 % of the memory for the LLM" in page_text(browser))
    link = browser.find_element("css selector", "nav a")
    assert link.get_attribute("href") == f"{served}/dashboard/studies/1"
    assert [overflow_px(browser, width) for width in (390, 768, 1280)] == [0, 0, 0]


@pytest.mark.parametrize(("path", "code"), [("/answer/1", 200), ("/answer/99", 302)])
def test_each_study_has_its_answer_and_what_is_none_leads_to_the_list(
    served: str, path: str, code: int
) -> None:
    host, port = served.removeprefix("http://").split(":")
    connection = HTTPConnection(host, int(port), timeout=20)
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status == code
    assert answer.getheader("Location") == (None if code == 200 else "/dashboard")
    connection.close()


def test_the_page_has_our_note_of_the_study(served: str, browser: Any) -> None:
    browser.get(f"{served}/dashboard/studies/1/note")
    until(
        lambda: "Answer: The best candidate is 55 % of the memory for the LLM" in page_text(browser)
    )
    assert "How to read these pages" in page_text(browser) and "[//]" not in page_text(browser)


def test_the_page_of_a_failed_trial_has_its_evidence_and_files(served: str, browser: Any) -> None:
    number = next(t["number"] for t in detail(served)["trials"] if t["state"] == "Pruned")
    browser.get(f"{served}/dashboard/studies/1/trials?numbers={number}")
    until(lambda: "Free memory is less than desired memory utilization" in page_text(browser))
    assert "--gpu-memory-utilization 0.6" in page_text(browser) and "metrics.json" in page_text(
        browser
    )
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 1280, (
        "no line widens the page"
    )


def test_the_dashboard_is_told_constraints_and_our_best_where_it_looks_for_them(
    served: str,
) -> None:
    study = detail(served)
    (best,) = study["best_trials"]
    assert {p["name"]: p["param_external_value"] for p in best["params"]} == {
        k: str(v) for k, v in BEST.items()
    }
    highest = max(t["values"][0] for t in study["trials"] if t["state"] == "Complete")
    assert best["values"][0] < highest, "the highest score is held back by its words"
    assert all(
        any(c > 0 for c in t["constraints"]) == (t["state"] == "Pruned") for t in study["trials"]
    )


def test_a_trial_that_ends_while_we_look_gets_its_note(served: str, database: Path) -> None:
    before = detail(served)
    sampler = optuna.samplers.RandomSampler()
    study = optuna.load_study(
        study_name="made-tournament-0", storage=f"sqlite:///{database}", sampler=sampler
    )
    first = study.trials[0]
    again = optuna.trial.create_trial(
        params=first.params,
        distributions=first.distributions,
        value=first.value,
        user_attrs=first.user_attrs,
    )
    study.add_trial(again)
    until(lambda: len(detail(served)["trials"]) == len(before["trials"]) + 1)
    note = detail(served)["trials"][-1]["note"]["body"]
    assert "50 % of the memory for the LLM" in note
    assert "± 0.000, 2 launches" in detail(served)["note"]["body"]


def test_a_study_that_cannot_be_read_does_not_hide_the_others(served: str, database: Path) -> None:
    storage = f"sqlite:///{database}"
    broken = optuna.create_study(study_name="broken", storage=storage)
    broken.set_user_attr(CONTEXT_ATTRIBUTE, {"x": 1})
    try:
        assert "How should Made-up card be shared?" in detail(served)["note"]["body"]
    finally:
        optuna.delete_study(study_name="broken", storage=storage)


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (["no.db"], 2, "there is no study in no.db"),
        (
            [],
            2,
            "there is no study in artifacts/h200_recorded/study.db; "
            "run python scripts/run_study.py first",
        ),
        (["made.txt"], 2, "file is not a database"),
        (
            ["{db}", "--port", "{taken}"],
            3,
            "cannot be used (Address already in use); name another, such as --port",
        ),
    ],
)
def test_what_is_not_there_is_one_line(
    database: Path, tmp_path: Path, arguments: list[str], code: int, error: str
) -> None:
    (tmp_path / "made.txt").write_text("no database " * 100)
    with (
        socket.socket() as taken
    ):  # create_server would share its port, and might not get to listen
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = (a.format(db=database, taken=port) for a in arguments)
        ran = run_script("dashboard.py", *line, cwd=tmp_path)
    assert error in ran.stderr
    assert (ran.returncode, len(ran.stderr.splitlines())) == (code, 1)
    assert [p.name for p in tmp_path.iterdir()] == ["made.txt"]
