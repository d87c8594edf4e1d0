"""The sessions of a rung begin over a ramp, so that no queue of first clips is a limit."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from objectives.load.ladder import Slo, _Sessions
from objectives.traffic.workload import Workload


async def asked_at_once(workload: Workload, count: int) -> list[int]:
    """Return the sessions that have sent a request before any answer came."""

    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    connection = SimpleNamespace(
        endpoints={"stt": None, "llm": None},
        clips=range(24),
        prepared=lambda _: b"",
        exchange=never,
    )
    sessions = _Sessions(connection, workload, Slo({"stt": 1000.0, "llm": 1000.0}), count)
    tasks = [asyncio.create_task(sessions.hold(n)) for n in range(count)]
    await asyncio.sleep(0.1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return sorted(sessions.waiting)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"session_ramp_s": 1000.0, "session_pause_s": 0.0}, [0]),
        ({"session_ramp_s": 0.0, "session_pause_s": 1000.0}, [0, 1, 2, 3]),
        ({"session_pause_s": 1000.0}, [0]),
        ({"session_pause_s": 0.0}, [0, 1, 2, 3]),
    ],
)
def test_sessions_begin_over_the_ramp_or_over_one_pause_where_none_is_given(given, expected):
    assert asyncio.run(asked_at_once(Workload(**given), 4)) == expected
