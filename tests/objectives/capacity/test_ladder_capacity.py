"""The ladder's arithmetic decides when a rung has passed and which comes next."""

import pytest

from objectives.capacity.ladder_capacity import Capacity, Rung, capacity, next_rung, verdict


def climbed(limit, start, top):
    """Return the rungs of a ladder on a system that holds `limit` sessions."""
    tried = {}
    while (sessions := next_rung(tried, start, top)) is not None:
        assert sessions not in tried
        tried[sessions] = sessions <= limit
    return [Rung(n, ok, {"stt": 45, "llm": 45}, None if ok else "llm") for n, ok in tried.items()]


@pytest.mark.parametrize(
    ("replies", "misses", "passed"),
    [
        (0, 0, None),
        (44, 0, None),
        (45, 0, True),
        (45, 1, None),
        (76, 1, None),
        (77, 1, True),
        (2, 2, False),
    ],
)
def test_a_rung_needs_enough_replies_for_its_misses(replies, misses, passed):
    assert verdict(replies, misses) is passed


@pytest.mark.parametrize(("replies", "misses"), [(45, 0), (77, 1)])
def test_enough_replies_show_a_p95_at_90_percent_and_one_less_does_not(replies, misses):
    """So few misses have a chance of at most 10 % where really 5 % miss."""

    def chance(n):
        return sum([0.95**n, n * 0.05 * 0.95 ** (n - 1)][: misses + 1])

    assert chance(replies) <= 0.10 < chance(replies - 1)


@pytest.mark.parametrize("start", [1, 3, 8, 64])
@pytest.mark.parametrize("limit", [*range(20), 63])
def test_a_whole_ladder_finds_the_limit(limit, start):
    rungs = climbed(limit, start, 64)
    assert capacity(rungs, 64) == Capacity(limit, False, "llm")
    assert len(rungs) <= 12


def test_a_ladder_that_reaches_its_top_shows_at_least_that():
    assert [r.sessions for r in climbed(1000, 8, 50)] == [8, 16, 32, 50]
    assert capacity(climbed(1000, 8, 50), 50) == Capacity(50, True, "generator")
    assert [r.sessions for r in climbed(1000, 80, 50)] == [50]


@pytest.mark.parametrize(
    ("rungs", "expected"),
    [
        ([], Capacity(None, None, None)),
        ([Rung(8, None, {"stt": 3, "llm": 3})], Capacity(None, None, "time")),
        (
            [Rung(8, True, {"stt": 45, "llm": 45}), Rung(16, None, {"stt": 3, "llm": 3})],
            Capacity(8, True, "time"),
        ),
        (
            [
                Rung(8, True, {"stt": 45, "llm": 45}),
                Rung(16, False, {"stt": 3, "llm": 3}, "kv"),
                Rung(12, None, {"stt": 1, "llm": 1}),
            ],
            Capacity(8, True, "time"),
        ),
        (
            [Rung(8, True, {"stt": 45, "llm": 45}), Rung(9, False, {"stt": 3, "llm": 3}, "kv")],
            Capacity(8, False, "kv"),
        ),
        (
            [Rung(8, False, {"stt": 3, "llm": 3}, "stt"), Rung(4, None, {"stt": 1, "llm": 1})],
            Capacity(None, None, "time"),
        ),
        (
            [
                Rung(2, False, {"stt": 3, "llm": 3}, "stt"),
                Rung(1, False, {"stt": 3, "llm": 3}, "llm"),
            ],
            Capacity(0, False, "llm"),
        ),
    ],
)
def test_what_was_not_reached_is_a_lower_bound_or_nothing(rungs, expected):
    assert capacity(rungs, 64) == expected
