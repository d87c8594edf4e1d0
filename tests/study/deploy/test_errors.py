"""Why a change ended is said in words."""

from __future__ import annotations

import pytest

from objectives.errors import SetupError
from study.deploy.errors import why_of


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
