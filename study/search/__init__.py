"""Decides which allocation is asked for next, and what Optuna is told of it."""
