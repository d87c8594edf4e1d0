"""This module imports optuna-dashboard without what it never asks for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

UNUSED = "sklearn"


@contextmanager
def without_scikit_learn() -> Iterator[None]:
    """Let optuna-dashboard be imported in the block as where scikit-learn is not installed.

    Optuna has two measures of importance that need it, and the dashboard shows a third; to import
    it takes two of three and a half seconds of a core.
    """
    if UNUSED in sys.modules:
        yield
        return
    sys.modules[UNUSED] = None  # type: ignore[assignment]  # so that its import fails
    try:
        yield
    finally:
        del sys.modules[UNUSED]
