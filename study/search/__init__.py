"""The search: which allocation is asked next, and what Optuna is told of it."""
