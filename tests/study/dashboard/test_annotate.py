"""Notes, plots and files of a study say what it means, once, and nobody's edits are lost."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from made.configurations import launched
from made.factories import measurement
from made.studies import Shared, copied
from optuna.artifacts import get_all_artifact_meta
from optuna.trial import TrialState
from optuna_dashboard import get_note, save_note

from study.dashboard.annotate import CARD, NOTED, PLOTS, annotate
from study.dashboard.launch_figures import cards_over_time
from study.storage.artifacts import ATTACHMENTS, attach
from study.storage.trial import State, Trial


@pytest.fixture(scope="module")
def folder(shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder with the study.db of a finished study."""
    here = copied(shared.pictured(), tmp_path_factory.mktemp("annotated"))
    annotate(opened(here / "out" / "made"))
    return here / "out" / "made"


def opened(folder: Path) -> optuna.Study:
    url = f"sqlite:///{folder}/study.db"
    sampler = optuna.samplers.RandomSampler()
    return optuna.load_study(study_name="made-tournament-0", storage=url, sampler=sampler)


def note_of(study: optuna.Study, number: int) -> str:
    return str(get_note(optuna.Trial(study, study.trials[number]._trial_id)))


def test_a_finished_study_has_a_note_and_all_plots(folder: Path) -> None:
    study = opened(folder)
    assert set(study.user_attrs[PLOTS]) == {"space", "tradeoff", "phases", "lineage", "memory"}
    note = get_note(study)
    assert (
        "**Answer: The best candidate is 55 % of the memory for the LLM, beside speech model base"
        in note
    )
    assert "measured elsewhere: not valid for this machine" in note
    assert 'may call a trial "best" that ran over a limit' in note
    assert "held back: 55 % + tiny: the clips are too few" in note
    assert "- Better: 50 % more capacity" in note and "smoothed" not in note
    assert study.metric_names == ["fitness"]


def test_the_note_of_a_trial_has_commands_arithmetic_outcome_and_proof(folder: Path) -> None:
    study = opened(folder)
    pruned = next(t for t in study.trials if t.state == optuna.trial.TrialState.PRUNED)
    note = note_of(study, pruned.number)
    for text in (
        "oom_budget",
        "Free memory is less than desired",
        "--gpu-memory-utilization 0.6",
        "reserve",
    ):
        assert text in note
    assert "; 20" not in note.splitlines()[-3]  # the replay's own time is not when it was measured
    complete = note_of(study, 0)
    assert (
        "in use today" in complete
        and "capacity, turns a second | 8.00" in complete
        and "not measured" in complete
    )


def test_written_again_nothing_changes(folder: Path) -> None:
    before = (folder / "study.db").read_bytes()
    annotate(opened(folder))
    assert (folder / "study.db").read_bytes() == before


def test_one_more_trial_is_annotated_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder, tmp_path / "made")
    study = opened(tmp_path / "made")
    study.add_trial(next(t for t in study.trials if t.state is TrialState.PRUNED))
    added, written = study.trials[-1]._trial_id, list[str]()
    storage = study._storage
    monkeypatch.setattr(
        storage,
        "set_study_system_attr",
        lambda study_id, key, value: (
            written.append(key)
            or type(storage).set_study_system_attr(storage, study_id, key, value)
        ),
    )
    annotate(study)
    others = {f"dashboard:{t._trial_id}:" for t in study.trials if t._trial_id != added}
    assert any(key.startswith(f"dashboard:{added}:note") for key in written)
    assert not [key for key in written if any(key.startswith(other) for other in others)]


def test_of_a_long_study_some_trials_have_notes_the_answers_and_the_newest_among_them(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder, tmp_path / "made")
    study = opened(tmp_path / "made")
    study.set_user_attr(NOTED, {})  # as if none had been annotated
    monkeypatch.setattr("study.dashboard.annotate.MOST_NOTED", 4)
    annotate(study)
    noted = {int(number) for number in study.user_attrs[NOTED]}
    assert len(noted) == 4
    assert study.user_attrs["answer"] in noted and len(study.trials) - 1 in noted


def test_a_note_that_somebody_edited_stays(folder: Path) -> None:
    study = opened(folder)
    trial = optuna.Trial(study, study.trials[0]._trial_id)
    save_note(trial, "mine")
    annotate(study)
    assert get_note(trial) == "mine"


def test_a_trial_keeps_its_metrics_and_memory_by_second(folder: Path) -> None:
    study = opened(folder)
    artifacts = {
        m.filename: m.artifact_id
        for m in get_all_artifact_meta(study.trials[0], storage=study._storage)
    }
    assert set(artifacts) == {"metrics.json", "memory.csv"}
    metrics = json.loads((folder / ATTACHMENTS / artifacts["metrics.json"]).read_text())
    assert metrics["llm_latency_p95_ms"] == 2500.0 and "kv_peak_pct" not in metrics
    assert (folder / ATTACHMENTS / artifacts["memory.csv"]).read_text().splitlines()[:2] == [
        "second,used_mib",
        "0,2000",
    ]


def test_a_trial_keeps_the_logs_of_what_it_launched(tmp_path: Path) -> None:
    logs = tmp_path / "trials" / "0"
    logs.mkdir(parents=True)
    (logs / "llm.log").write_text("it started")
    study = optuna.create_study()
    attach(study.ask(), tmp_path, logs, {"llm_start_s": 3.0, "llm_latency_p95_ms": float("inf")})
    artifacts = {
        m.filename: m.artifact_id
        for m in get_all_artifact_meta(study.trials[0], storage=study._storage)
    }
    assert set(artifacts) == {"llm.log", "metrics.json"}
    assert (tmp_path / ATTACHMENTS / artifacts["llm.log"]).read_text() == "it started"
    assert (
        json.loads((tmp_path / ATTACHMENTS / artifacts["metrics.json"]).read_text())[
            "llm_latency_p95_ms"
        ]
        == "inf"
    )


def launch(number: int, at: str | None, wall_s: float, state: State = State.COMPLETE) -> Trial:
    (made,) = launched(1, [measurement()]).measured
    return replace(made, number=number, at=at, wall_s=wall_s, state=state)


def test_each_card_has_a_row_of_what_it_measured_when() -> None:
    began = ["2026-11-29T10:00:00+00:00", "2026-11-29T10:01:40+00:00", "2026-11-29T10:00:05+00:00"]
    trials = [
        launch(0, began[0], 95.0),
        launch(1, began[1], 60.0, State.PRUNED),
        launch(2, began[2], 90.0),
        launch(3, None, 0.0),  # it never began
    ]
    cards = {0: "GPU-a-1", 1: "GPU-a-1", 2: "GPU-b-2", 3: "GPU-b-2"}
    figure = cards_over_time(trials, cards)
    assert figure is not None
    drawn = {
        (bar.name, row, base, length_ms)
        for bar in figure.data
        for row, base, length_ms in zip(bar.y, bar.base, bar.x, strict=True)
    }
    assert drawn == {
        ("measured", "GPU-a", began[0], 95_000.0),
        ("measured", "GPU-b", began[2], 90_000.0),
        ("failed", "GPU-a", began[1], 60_000.0),
    }
    assert cards_over_time(trials, dict.fromkeys(range(4), "GPU-a-1")) is None


def test_a_study_on_two_cards_has_the_plot_of_them(folder: Path) -> None:
    one_card, study = opened(folder), optuna.create_study(direction="maximize")
    for name, value in one_card.user_attrs.items():
        study.set_user_attr(name, value)
    for trial in one_card.get_trials():
        trial.set_user_attr(CARD, f"GPU-{trial.number % 2}")
        study.add_trial(trial)
    annotate(study)
    assert set(study.user_attrs[PLOTS]) == {*one_card.user_attrs[PLOTS], "cards"}
