"""From four cores on the load generator has one to itself, and everything else stays off it."""

import os
import subprocess
import sys

import pytest
from factories import endpoints_of

from objectives.devices import cores
from objectives.devices.cores import Cores, apart, numbers, shared_out
from objectives.load.generator import Generator
from objectives.load.open_loop import one_by_one
from objectives.traffic.workload import Request

NOBODY = endpoints_of("http://127.0.0.1:1", "http://127.0.0.1:1", 2048, None)
TWO_NODES = (range(8), range(8, 16))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_cores_are_shared_and_it_says_so(count):
    here = shared_out(range(count), [range(count)])
    assert here == Cores(frozenset(range(count)))
    assert "shares the" in str(here) and "from 4 on" in str(here)


@pytest.mark.parametrize(
    ("allowed", "nodes", "own"),
    [
        (range(4), (), 3),
        (range(16), TWO_NODES, 7),  # equal nodes: the first
        ({0, 1, 8, 9, 10, 11}, TWO_NODES, 11),  # the node that can spare one
        ({2, 5, 9, 40}, (), 40),  # a cpuset with gaps
        ({0, 1, 2, 3}, (range(8, 16),), 3),  # nodes that have none of them
    ],
)
def test_from_four_cores_on_one_is_the_generators(allowed, nodes, own):
    here = shared_out(allowed, nodes)
    assert here.generator == {own}
    assert here.servers == set(allowed) - {own}
    assert str(here) == (
        f"the load generator has core {own} to itself, the servers the other {len(allowed) - 1}"
    )


@pytest.mark.parametrize(
    ("text", "expected"), [("0-1\n", {0, 1}), ("3,8-9", {3, 8, 9}), ("\n", set())]
)
def test_the_kernels_lists_are_read(text, expected):
    assert numbers(text) == expected


def affinity_of_a_child():
    program = "import os; print(sorted(os.sched_getaffinity(0)))"
    return subprocess.check_output([sys.executable, "-c", program], text=True)


def test_servers_inherit_the_rest_and_the_generator_takes_its_own(monkeypatch):
    """On any machine with two cores: the least number is set to two."""
    before = os.sched_getaffinity(0)
    if len(before) < 2:
        pytest.skip("a machine with one core has none to share out")
    monkeypatch.setattr(cores, "LEAST", 2)
    with apart() as here:
        assert here.generator and here.servers == before - here.generator
        assert affinity_of_a_child() == f"{sorted(here.servers)}\n"
        with Generator(here.generator) as generator:
            one_by_one(generator, NOBODY, (), [Request("llm", 0.0)], timeout_s=20)
            assert generator.pid is not None
            assert os.sched_getaffinity(generator.pid) == here.generator
    assert os.sched_getaffinity(0) == before


def test_where_it_shares_them_nothing_is_changed(monkeypatch):
    before = os.sched_getaffinity(0)
    monkeypatch.setattr(cores, "LEAST", 10_000)
    with apart() as here:
        assert here == Cores(frozenset(before))
        assert os.sched_getaffinity(0) == before
    assert os.sched_getaffinity(0) == before
