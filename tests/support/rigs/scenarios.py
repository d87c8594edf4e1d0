"""Scenarios are tests on a rig that mostly wait: each has a machine of its own, beside others.

A file imports `scenarios`, the fixture, and makes its tests with `beside`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

import pytest
from rigs.production_rig import Machine, forking, production

Scenario = Callable[..., None]
OLD, NEW = ("0.5", "base"), ("0.55", "tiny")
AT_ONCE = 3
AHEAD = 6  # how many have begun, or wait for a place


def booted() -> tuple[ExitStack, Machine]:
    """Boot a machine on the old version; the stack ends it."""
    with ExitStack() as stack:
        rigged = stack.enter_context(production())
        rigged.wait(30, lambda: rigged.running() == OLD)
        return stack.pop_all(), rigged


class Scenarios:
    """The scenarios of one file begin before their tests, and each test waits for its own.

    Args:
        tests: The tests of the file in their order, with the scenario of each that has one.
    """

    def __init__(self, tests: Mapping[str, Scenario | None]) -> None:
        self._tests, self._names = tests, [*tests]
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._begun: dict[str, Future[None]] = {}

    def begin(self, name: str) -> None:
        """Begin the scenarios of a test and of those behind it, unless they have begun."""
        place = self._names.index(name)
        for coming in self._names[place : place + AHEAD]:
            scenario = self._tests[coming]
            if scenario is not None and coming not in self._begun:
                self._begun[coming] = self._pool.submit(_run, scenario)

    def result(self, name: str) -> None:
        """Wait until the scenario of a test has ended, and fail as it did."""
        self.begin(name)
        self._begun[name].result()

    def end(self) -> None:
        """Wait for those that have begun, and drop the others: another worker has their tests."""
        self._pool.shutdown(cancel_futures=True)


def _run(scenario: Scenario) -> None:
    ends, machine = booted()
    with ends:
        scenario(machine)


def of_test(item: pytest.Item) -> Scenario | None:
    """Return the scenario of a test, with the parameters of that test; None where it has none."""
    scenario: Scenario | None = getattr(getattr(item, "obj", None), "scenario", None)
    call = getattr(item, "callspec", None)
    return partial(scenario, **call.params) if scenario and call else scenario


def beside(scenario: Scenario) -> Callable[[pytest.FixtureRequest, Scenarios], None]:
    """Make a test of a scenario, which gets a machine and the parameters of the test."""

    def test(request: pytest.FixtureRequest, scenarios: Scenarios) -> None:
        scenarios.result(request.node.name)

    test.__name__, test.__doc__ = scenario.__name__, scenario.__doc__
    test.scenario = scenario  # type: ignore[attr-defined]
    return test


@pytest.fixture(scope="module")
def scenarios(request: pytest.FixtureRequest) -> Iterator[Scenarios]:
    """Return the scenarios of this file, those that are to run."""
    forking()  # once, before several threads ask for it
    tests = [item for item in request.session.items if item.path == request.node.path]
    own = Scenarios({test.name: of_test(test) for test in tests})
    yield own
    own.end()
