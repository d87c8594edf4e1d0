"""A study borrows the GPU of units here: it records, masks and stops them, and gives them back."""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path

from objectives.errors import SetupError
from study.service_pause import restore
from study.service_pause.containers import (
    ContainerState,
    changed,
    find_container,
    is_container,
    stop,
)
from study.service_pause.lent_units import changed_units, closure
from study.service_pause.restore_promise import PROMISE_PREFIX, Promise
from study.systemd import systemctl
from study.systemd.manager import STOP_S, Manager, UnitState, find_unit, state
from study.systemd.systemctl import LEND

GRACE_S = 15.0  # for a study that is asked to end: it stops its servers itself
SERVERS_END_S = 10.0  # for what a killed study left running: the supervisors need less
RESTART_S = 2.0  # of a guard that was killed
OUTAGE_MARGIN_S = (
    GRACE_S + 10.0
)  # before the end of the outage: grace, then what its supervisors take
GUARD = "gpu-allocation-guard-"
Tell = Callable[[str], None]


def must_end_after_s(max_outage_s: float) -> float:
    """Return after how many seconds of an outage the study must end, so that units start in time.

    >>> must_end_after_s(2700), must_end_after_s(20)
    (2675.0, 10.0)
    """
    return max(max_outage_s - OUTAGE_MARGIN_S, max_outage_s / 2)


@contextmanager
def lent(units: Sequence[str], tell: Tell, *, max_outage_s: float | None = None) -> Iterator[None]:
    """Keep units and containers stopped as long as the block lasts; then all is as it was before.

    That holds also where this process is killed (a unit of systemd's waits for its end) and after a
    reboot (an enabled oneshot). Without a unit, nothing happens. What would stop with a unit, and
    what would start it, is lent with it.

    Args:
        max_outage_s: By then the units start again, whatever runs; the process gets SIGTERM a
            little before.

    Raises:
        BadInput: A unit cannot be lent, and nothing is stopped.
        SetupError: A unit does not stop, and all are given back; or not everything is back.
    """
    if not units:
        yield
        return
    _settle_earlier(tell)
    states = closure([find_unit(name) for name in units if not is_container(name)])
    containers = [find_container(name) for name in units if is_container(name)]
    ordered = sorted(states, key=lambda s: (s.manager.is_user, s.since_us, s.unit))
    token = uuid.uuid4().hex[:12]
    of_managers = {m: list(part) for m, part in groupby(ordered, key=lambda s: s.manager)}
    own = Manager(is_user=os.geteuid() != 0)  # what an engine's command needs, this user has
    if containers:
        of_managers.setdefault(own, [])
    promises = [
        Promise(m, token, part, containers if m == own else ()) for m, part in of_managers.items()
    ]
    began = time.monotonic()
    end_s = began + must_end_after_s(max_outage_s) if max_outage_s else float("inf")
    try:
        for promise in promises:
            promise.make()
            _guard(promise, end_s)
        os.environ[restore.BORROWER] = token
        for promise in promises:
            take(promise)
        lenders: list[UnitState | ContainerState] = [*ordered, *containers]
        what = [s.unit if s.is_on else f"{s.unit} (was off)" for s in lenders]
        tell(
            f"lent to this study: {', '.join(what)}; "
            "they come back at its end, if it is killed, and after a reboot"
        )
        yield
    finally:
        os.environ.pop(restore.BORROWER, None)
        problems = [
            p
            for promise in promises
            for p in restore.give_back(promise.path, _words(promise.manager))
        ]
        for promise in promises:
            if not promise.path.exists():
                with suppress(SetupError):  # it may never have started
                    promise.manager.systemctl("stop", f"{GUARD}{token}.service")
        problems += changed_units(ordered)
        problems += [p for c in containers if (p := changed(c)) is not None]
        if problems:
            raise SetupError(
                f"not everything is back: {'; '.join(problems)}; look at `systemctl status UNIT`"
            )
        minutes = (time.monotonic() - began) / 60
        names = ", ".join([*(s.unit for s in ordered), *(c.unit for c in containers)])
        tell(f"given back after {minutes:.1f} min: {names}")


def take(promise: Promise) -> None:
    """Stop the containers of a promise, mask and stop its units, the last that came up first.

    Raises:
        SetupError: One runs on.
    """
    manager = promise.manager
    for container in promise.containers:
        if container.is_on:
            stop(container)
    try:
        manager.masks.mkdir(parents=True, exist_ok=True)
        for link in promise.masks():
            link.symlink_to("/dev/null")
    except OSError as error:
        raise SetupError(f"{link} cannot be made ({error.strerror})") from error
    # stopped before the masks take effect: a masked unit has lost its ExecStop= and its KillMode=
    for s in reversed(promise.states):
        manager.systemctl("stop", "--", s.unit, timeout_s=STOP_S)
    manager.systemctl("daemon-reload")
    for s in promise.states:
        now = state(manager, s.unit)
        if now.is_on:  # something started it meanwhile; from here on nothing can
            manager.systemctl("stop", "--", s.unit, timeout_s=STOP_S)
            now = state(manager, s.unit)
        if now.is_on or now.load != "masked":
            raise SetupError(
                f"{s.unit} is {now.active} and {now.load} after it was masked and stopped"
            )


def _guard(promise: Promise, end_s: float) -> None:
    """Start a unit of systemd's, in its own control group, that waits for our process to end."""
    script = str(Path(restore.__file__).absolute())
    since = restore.started(os.getpid())
    systemctl.run(
        "systemd-run",
        *promise.manager.flags,
        f"--unit={GUARD}{promise.token}",
        "--collect",
        "--quiet",
        "--service-type=exec",
        "--property=Restart=on-failure",
        f"--property=RestartSec={RESTART_S}",
        # to systemd these are a clean end, and no `systemctl stop`
        "--property=RestartForceExitStatus=SIGTERM SIGINT SIGHUP",
        f"--description=Give units back when process {os.getpid()} has ended",
        "--",
        *(sys.executable, "-I", script, str(promise.path)),
        *(str(os.getpid()), str(since), promise.token),
        *(str(seconds) for seconds in (end_s, GRACE_S, SERVERS_END_S)),
        *promise.manager.flags,
        way_out=LEND,
    )


def _settle_earlier(tell: Tell) -> None:
    """Give back what a study borrowed whose guard is gone too."""
    for manager in (Manager(is_user=False), Manager(is_user=True)):
        for path in sorted(manager.lasting.glob(f"{PROMISE_PREFIX}*.service")):
            guard = path.name.replace(PROMISE_PREFIX, GUARD)
            if state(manager, guard).is_on:
                continue  # it is at work, or another study borrows
            if problems := restore.give_back(path, _words(manager)):
                raise SetupError(
                    f"an earlier study left {path} and it cannot be kept: {'; '.join(problems)}"
                )
            tell(f"gave back what an earlier study had borrowed ({path.name})")


def _words(manager: Manager) -> list[str]:
    return ["systemctl", *manager.flags]
