"""The dashboard is imported without scikit-learn, which whoever asks for it gets all the same."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
from study.dashboard.imports import without_scikit_learn
with without_scikit_learn():
    import study.dashboard.server
print("sklearn" in sys.modules)
import sklearn
with without_scikit_learn():
    from sklearn.ensemble import RandomForestRegressor
import optuna
study = optuna.create_study()
study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=8)
evaluator = optuna.importance.PedAnovaImportanceEvaluator()
print(optuna.importance.get_param_importances(study, evaluator=evaluator))
"""


def test_the_importance_that_the_dashboard_shows_needs_none() -> None:
    line = [sys.executable, "-W", "ignore", "-c", CODE]
    ended = subprocess.run(line, capture_output=True, text=True, check=True)
    assert ended.stdout == "False\n{'x': 1.0}\n"
