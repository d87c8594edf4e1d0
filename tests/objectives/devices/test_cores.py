"""From four cores on the load generator has one to itself, and everything else stays off it."""

import os
import subprocess
import sys
from contextlib import ExitStack

import pytest
from made.factories import endpoints_of

from objectives.devices import cores
from objectives.devices.cores import Cores, apart, cores_here, numbers, shared_out
from objectives.devices.machine_lock import FOLDER_VARIABLE
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


@pytest.fixture(autouse=True)
def own_locks(monkeypatch, tmp_path):
    """Keep the locks of this test apart from those of others beside it."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))


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


@pytest.fixture
def eight(monkeypatch):
    """Give this process eight cores, as far as it knows."""
    moved = []
    monkeypatch.setattr(cores, "_move", lambda numbers: moved.append(set(numbers)))
    monkeypatch.setattr(cores, "NODES", cores.THREADS)  # where no node is
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda _: set(range(8)))
    return moved


def test_two_that_measure_on_one_machine_have_a_core_each(eight):
    with apart() as first:
        with apart() as second:
            assert (first.generator, second.generator) == ({7}, {6})
            assert second.servers == set(range(6))  # off the first one's core too
            assert cores_here().generator == {5}
        assert cores_here().generator == {6}  # the second has left
        assert eight[:2] == [set(range(7)), set(range(6))]
    assert cores_here().generator == {7}


def test_a_core_is_free_again_when_its_process_is_killed(eight, tmp_path):
    program = (
        "import time; from contextlib import ExitStack; from objectives.devices import cores\n"
        "assert cores._is_ours(ExitStack(), 7); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as other:
        try:
            assert other.stdout.readline() == "held\n"
            assert cores_here().generator == {6}
        finally:
            other.kill()
    assert cores_here().generator == {7}


def test_where_others_hold_all_that_can_be_spared_the_cores_left_are_shared(eight):
    with ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(apart())
        with apart() as last:
            assert last == Cores(frozenset(range(3)))


def test_without_a_folder_for_locks_the_usual_core_is_taken(eight, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, "/nowhere")
    with apart() as here:
        assert here.generator == {7}
