"""The dashboard is imported without scikit-learn, which whoever asks for it gets all the same."""

from __future__ import annotations

import subprocess
import sys

from processes.commands import needs

SHOWN = """
import sys
from study.dashboard.imports import without_scikit_learn
with without_scikit_learn():
    import study.dashboard.server
print("sklearn" in sys.modules)
import optuna
study = optuna.create_study()
study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=8)
evaluator = optuna.importance.PedAnovaImportanceEvaluator()
print(optuna.importance.get_param_importances(study, evaluator=evaluator))
"""
ASKED_FOR = """
import sys
from study.dashboard.imports import without_scikit_learn
with without_scikit_learn():
    import study.dashboard.server
import sklearn
with without_scikit_learn():
    import sklearn.experimental  # which scikit-learn itself does not import
print("sklearn.experimental" in sys.modules)
"""


def printed(code: str) -> str:
    line = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.run(line, capture_output=True, text=True, check=True).stdout


def test_the_importance_that_the_dashboard_shows_needs_none() -> None:
    assert printed(SHOWN) == "False\n{'x': 1.0}\n"


def test_whoever_asks_for_it_gets_it() -> None:
    needs("sklearn", "bench")
    assert printed(ASKED_FOR) == "True\n"
