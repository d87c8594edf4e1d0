"""A unit behind a proxy that a socket of systemd's starts sleeps where the proxy ends when idle."""

from __future__ import annotations

import math
import re
from pathlib import Path

from study.init_spec.forms.named_text import text_of
from study.init_spec.forms.running import Sleep
from study.systemd.manager import Manager, UnitState
from study.systemd.systemctl import parse_show, span_s
from study.systemd.unit_file import commands
from study.systemd.wakers import wakers_of

LISTENS = re.compile(r":([0-9]{1,5}) \(Stream\)")
IDLE = re.compile(r"--exit-idle-time[= ]([\w.]+)")


def sleep_of(unit: UnitState) -> Sleep | None:
    """Return what wakes a unit; None where it runs all the time, or nobody says how long."""
    for waker in wakers_of(unit):
        port = LISTENS.search(_shown(unit.manager, waker.unit.unit, "Listen"))
        file = _shown(unit.manager, waker.starts, "FragmentPath")
        idle = IDLE.search(" ".join(commands([text_of(Path(file)) or ""])))
        idle_s = span_s(idle[1] if re.search("[a-z]", idle[1]) else f"{idle[1]}s") if idle else 0.0
        if port and 0 < idle_s < math.inf:
            return Sleep(waker.unit.unit, int(port[1]), max(1.0, idle_s))
    return None


def _shown(manager: Manager, unit: str, key: str) -> str:
    """Return one property of a unit."""
    output = manager.systemctl("show", f"--property={key}", "--", unit)
    return parse_show(output).get(key, "")
