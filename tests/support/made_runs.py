"""Runs and problems that several tests of the comparison share."""

import importlib.util
import os

import pytest

from study.sampler_benchmark.trial_run import Run


def run_of(problem="smooth", sampler="tournament", seed=0, *, found=5, budget=40, **changes):
    """A run whose path ends at the target, or misses it."""
    path = ((0, 2.0), (1, 1.0), *(((found, 0.0),) if found else ()))
    usual = {
        "problem": problem, "sampler": sampler, "batch": 1, "seed": seed, "budget": budget, "fresh": 15, "path": path,
        "found": found, "repeats": 0, "oom": None, "oom_repeats": None, "named": {}, "wall_s": 0.1,
    }  # fmt: skip
    return Run(**usual | changes)


def needs(module, extra):
    """Skip a test for want of an extra's package, with the reason; in CI it must be there."""
    if importlib.util.find_spec(module) is None:
        reason = f"{module} is not installed; run: python -m pip install -e '.[{extra}]'"
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must run the tests of the extras: {reason}", pytrace=False)
        pytest.skip(reason)
