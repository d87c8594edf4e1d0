"""Where one thread alone writes to trials, what it reads is what the database holds."""

import random
from pathlib import Path
from threading import Thread

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from study.storage.backends.writes import together, written_here_alone
from study.storage.tables.statements import PlainStorage
from study.storage.url import open_storage, sqlite_url


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    """Return a study with three open trials, beside another in its database."""
    storage = open_storage(sqlite_url(tmp_path / "study.db"))
    other = optuna.create_study(storage=storage, study_name="other")
    study = optuna.create_study(storage=storage, study_name="own")
    written_here_alone(study)
    for one in (other, study, other, study, study, other):
        one.ask()
    return study


def held(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    """Return the trials that the database holds."""
    return RDBStorage(study._storage._backend.url).get_all_trials(study._study_id)


@pytest.mark.parametrize("seed", range(3))
def test_after_each_write_it_is_what_the_database_holds(study: optuna.Study, seed: int) -> None:
    rng = random.Random(seed)
    trials = [optuna.trial.Trial(study, trial._trial_id) for trial in study.trials]
    for number in range(30):
        trial = rng.choice(trials)
        match rng.randrange(6):
            case 0:
                trials.append(study.ask())
            case 1 if len(trials) > 1:
                trials.remove(trial)
                study.tell(trial, rng.random())
            case 2:
                study.enqueue_trial({"x": rng.random()}, user_attrs={"role": "baseline"})
            case 3:
                trial.suggest_float("x", 0.0, 1.0)
            case 4:
                trial.report(1.0, number)
            case _:
                trial.set_user_attr(f"of {number}", number)
        if rng.random() < 0.7:
            assert study.get_trials(deepcopy=False) == held(study)
    assert study.get_trials(deepcopy=False) == held(study)


def test_what_is_undone_is_read_once_more(study: optuna.Study) -> None:
    trial = optuna.trial.Trial(study, study.trials[0]._trial_id)

    def fails() -> None:
        trial.set_user_attr("begun", True)
        assert study.get_trials(deepcopy=False)[0].user_attrs == {"begun": True}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        together(study, fails)
    assert study.get_trials(deepcopy=False)[0].user_attrs == {}


def test_what_another_thread_reads_meanwhile_is_not_kept(study: optuna.Study) -> None:
    trial = optuna.trial.Trial(study, study.trials[0]._trial_id)

    def writes() -> None:
        trial.set_user_attr("begun", True)
        assert study.get_trials(deepcopy=False)[0].user_attrs == {"begun": True}
        thread = Thread(target=study.get_trials)
        thread.start()
        thread.join()
        assert study.get_trials(deepcopy=False)[0].user_attrs == {"begun": True}

    together(study, writes)
    assert study.get_trials(deepcopy=False) == held(study)


def test_a_trial_that_nobody_wrote_to_is_not_read_again(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_ones, read = study.get_trials(deepcopy=False), []
    before = PlainStorage._get_trials

    def _get_trials(self, study_id, states, ids, newest):
        trials = before(self, study_id, states, ids, newest)
        read.extend(t.number for t in trials)
        return trials

    monkeypatch.setattr(PlainStorage, "_get_trials", _get_trials)
    optuna.trial.Trial(study, open_ones[1]._trial_id).set_user_attr("begun", True)
    for _ in range(3):
        assert [t.state for t in study.get_trials(deepcopy=False)] == [TrialState.RUNNING] * 3
    assert read == [1]
