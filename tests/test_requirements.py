"""Checks that what tests run imports what is declared: README's command installs `test` alone.

CI has more installed, so that a test which needs more would not fail there.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parents[1]
CONFIGURATION = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
PROJECT = CONFIGURATION["project"]
OPTIONS = CONFIGURATION["tool"]["pytest"]["ini_options"]["addopts"].split()
EXTRAS = PROJECT["optional-dependencies"]
SKIPPED = ("bench", "cluster", "gp", "rivals")  # are tests where these are missing
SUPPORT = {path.stem for path in (REPOSITORY / "tests/support").iterdir()}
OURS = {"objectives", "study", "scripts", "tests", *SUPPORT, *sys.stdlib_module_names}


def below(lines: list[str]) -> set[str]:
    """Return the distributions that pip installs for these requirements, with what they require."""
    names, left = set[str](), [Requirement(line) for line in lines]
    while left:
        wanted = left.pop()
        name = canonicalize_name(wanted.name)
        if name == canonicalize_name(PROJECT["name"]):
            left += [Requirement(line) for extra in wanted.extras for line in EXTRAS[extra]]
        elif name not in names:
            names.add(name)
            left += [own for own in required_by(name) if is_wanted(own, wanted.extras)]
    return names


def required_by(name: str) -> list[Requirement]:
    try:
        return [Requirement(line) for line in requires(name) or ()]
    except PackageNotFoundError:  # of an extra that is not installed here
        return []


def is_wanted(requirement: Requirement, extras: set[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras))


def modules_of_ours() -> Iterator[Path]:
    """Give every module but those that run where an engine is installed: pytest ignores them."""
    for folder in ("tests", "study", "objectives", "scripts"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            if f"--ignore={path.relative_to(REPOSITORY)}" not in OPTIONS:
                yield path


def imported(tree: ast.AST, is_top: bool = True) -> Iterator[tuple[str, bool]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], is_top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module).partition(".")[0], is_top
        else:
            is_inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Try | ast.If)
            yield from imported(node, is_top and not is_inside)


def test_what_is_imported_is_declared() -> None:
    """What another extra brings is imported where it is used, for a test of it is then skipped."""
    modules = packages_distributions()
    declared = below([*PROJECT["dependencies"], *EXTRAS["test"]])
    optional = below([line for extra in SKIPPED for line in EXTRAS[extra]])
    undeclared = set[str]()
    for path in modules_of_ours():
        for name, is_top in imported(ast.parse(path.read_text())):
            brought_by = {canonicalize_name(own) for own in modules.get(name, ())}
            allowed = declared if is_top else declared | optional
            is_here = brought_by or is_top  # else it is of an extra that is not installed here
            if name not in OURS and is_here and not brought_by & allowed:
                undeclared.add(f"{path.relative_to(REPOSITORY)} imports {name}")
    assert undeclared == set()
