"""Gates open at their times, none before it."""

import asyncio
import time

from objectives.load.sending.alarm_clock import alarm_clock


def test_no_gate_opens_before_its_time_and_all_of_them_open():
    async def pass_through():
        start_s = time.monotonic()
        due = [start_s + 0.05, start_s + 0.02, start_s + 0.05, start_s - 1]
        passed = []

        async def one(n, gate):
            await gate
            passed.append((n, time.monotonic()))

        with alarm_clock() as clock:
            await asyncio.gather(*(one(n, clock.at(due[n])) for n in range(4)))
        return due, passed

    due, passed = asyncio.run(pass_through())
    order = [n for n, _ in passed]
    assert sorted(order) == [0, 1, 2, 3] and order.index(0) < order.index(2)
    assert all(at_s >= due[n] for n, at_s in passed)


def test_gates_may_be_asked_for_while_others_wait_and_a_cancelled_one_holds_up_none():
    async def pass_through():
        with alarm_clock() as clock:
            late, gone = clock.at(time.monotonic() + 0.1), clock.at(time.monotonic() + 0.02)
            gone.cancel()
            early = clock.at(time.monotonic() + 0.04)
            await early
            assert not late.done()
            await late
            again = clock.at(time.monotonic() + 0.01)  # after all have opened
            await again
        return True

    assert asyncio.run(asyncio.wait_for(pass_through(), 20))


def test_gates_that_nobody_waits_for_any_more_end_at_once():
    async def leave():
        began = time.monotonic()
        with alarm_clock() as clock:
            clock.at(began + 600)
        return time.monotonic() - began

    assert asyncio.run(leave()) < 60
