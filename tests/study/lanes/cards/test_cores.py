"""Cores are shared out among lanes by the NUMA nodes of their cards."""

import pytest

from objectives.errors import SetupError
from study.lanes.cards.cores import split

TWO_NODES = (range(16), range(16, 32))


def test_each_lane_has_cores_of_its_cards_node():
    driver, lanes = split(range(32), TWO_NODES, [1, 0])
    assert driver == {0}
    assert [set(own) for own in lanes] == [set(range(16, 32)), set(range(1, 16))]


@pytest.mark.parametrize("near", [[0, 0, 0, 0], [None, 0, 1, 1], [None] * 4, [0, 0, 1, 5]])
def test_lanes_share_no_core_and_none_is_left(near):
    driver, lanes = split(range(32), TWO_NODES, near)
    cores = [core for own in lanes for core in own]
    assert len(lanes) == 4 and min(map(len, lanes)) >= 3
    assert len(cores) == len(set(cores)) and not driver.intersection(cores)


def test_a_node_without_a_core_for_its_lane_gives_way_to_equal_parts():
    _, lanes = split([0, 1, 16], TWO_NODES, [1, 1])
    assert lanes == ((0, 1), (16,))


def test_fewer_cores_than_lanes_are_refused_with_both_numbers():
    with pytest.raises(SetupError, match="3 lanes need a core each, and 2 may be used here"):
        split([4, 5], (), [None] * 3)
