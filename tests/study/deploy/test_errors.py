"""Why a change ended is said in words."""

from __future__ import annotations

import signal

import pytest

from objectives import waiting
from objectives.errors import SetupError
from study.deploy.errors import cause_of, why_of
from study.deploy.recover import signals_ignored


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (KeyboardInterrupt(), "it was stopped by Ctrl-C, SIGTERM or SIGHUP"),
        (SetupError("no systemd"), "no systemd"),
        (ZeroDivisionError("x"), "ZeroDivisionError"),
    ],
)
def test_a_reason_is_never_empty_nor_the_name_of_a_signal_in_python(
    error: BaseException, why: str
) -> None:
    assert why_of(error) == why


def test_a_signal_that_ended_a_command_first_does_not_end_what_puts_things_back() -> None:
    handlers = {number: signal.getsignal(number) for number in waiting.SIGNALS}
    try:
        waiting.listen()
        signal.raise_signal(signal.SIGTERM)
        assert isinstance(cause_of(SetupError("exit status -15")), KeyboardInterrupt)
        waiting.sleep(0)
        waiting.listen()
        signal.raise_signal(signal.SIGTERM)
        steps = []
        with pytest.raises(KeyboardInterrupt), signals_ignored():
            waiting.sleep(0)
            steps.append("put back")
        assert steps == ["put back"]
    finally:
        waiting.listen()
        for number, handler in handlers.items():
            signal.signal(number, handler)
