"""Optuna's tables of a database are read as they are, without the costs of looking at them anew."""
