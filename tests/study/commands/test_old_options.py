"""An option of 0.1 is refused in one line that names its successor."""

from __future__ import annotations

import pytest
from processes.commands import run_script


@pytest.mark.parametrize(
    "words", [("--ladder", "0"), ("--ladder=30",), ("--ladder",)], ids=" ".join
)
def test_the_ladder_is_refused_with_and_without_its_value(words: tuple[str, ...]) -> None:
    ran = run_script("confirm.py", "p.yaml", *words)
    assert ran.returncode == 2 and len(ran.stderr.splitlines()) == 1
    assert "--ladder is a word of 0.1" in ran.stderr and "write --ramp S" in ran.stderr
