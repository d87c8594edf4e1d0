"""The search decides which allocation comes next, and what Optuna is told of it."""
