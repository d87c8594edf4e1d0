"""A systemd manager, of the machine or of a user, tells what a unit is and where its files lie."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from objectives.errors import BadInput, SetupError
from study.systemd import systemctl
from study.systemd.systemctl import LEND, parse_show

UNIT_NAME = re.compile(r"[A-Za-z0-9:_.\\@-]{1,200}(?<!@)\.(service|socket|timer|path)")
STOPPED_WITH = "RequiredBy BoundBy RequisiteOf ConsistsOf PropagatesStopTo"  # what a stop reaches
STATE_PROPERTIES = (
    "Id LoadState ActiveState UnitFileState ActiveEnterTimestampMonotonic TriggeredBy "
    f"{STOPPED_WITH}"
)
ON = ("active", "activating", "reloading")
STOP_S = 300.0


@dataclass(frozen=True, slots=True)
class Manager:
    """A manager is that of the machine (`system`), or of the user who runs this process.

    Args:
        is_user: Whether it is the user's.
    """

    is_user: bool

    @property
    def name(self) -> str:
        """Return its name as a person reads it."""
        return "user" if self.is_user else "system"

    @property
    def flags(self) -> tuple[str, ...]:
        """Return the flags that its commands need."""
        return ("--user",) if self.is_user else ()

    @property
    def lasting(self) -> Path:
        """Return where units lie that survive a reboot."""
        if not self.is_user:
            return Path("/etc/systemd/system")
        return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd/user"

    @property
    def masks(self) -> Path:
        """Return where a link to /dev/null masks a unit until the reboot.

        `systemctl mask --runtime` writes to a folder that ranks below /etc: it does nothing to a
        unit that lies there.
        """
        if not self.is_user:
            return Path("/run/systemd/system.control")
        folder = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
        return Path(folder) / "systemd/user.control"

    @property
    def wants(self) -> Path:
        """Return where a link makes a unit start with the machine, or at the user's first login."""
        return self.lasting / f"{'default' if self.is_user else 'multi-user'}.target.wants"

    def systemctl(self, *words: str, timeout_s: float = 60.0) -> str:
        """Run `systemctl` and return its output.

        Raises:
            SetupError: It is missing, fails or takes too long, or no systemd runs.
        """
        return systemctl.run("systemctl", *self.flags, *words, timeout_s=timeout_s, way_out=LEND)


@dataclass(frozen=True, slots=True)
class UnitState:
    """A state is what a manager knows of a unit at one moment.

    Args:
        manager: The manager that has it.
        unit: Its name.
        load: systemd's LoadState, such as `loaded`, `masked` or `not-found`.
        active: systemd's ActiveState, such as `active`.
        enabled: systemd's UnitFileState; empty where systemd does not say.
        since_us: When it came up, microseconds of the monotonic clock.
        triggers: Units that would start it.
        stopped_with: Units that a stop of it stops too.
    """

    manager: Manager
    unit: str
    load: str
    active: str
    enabled: str
    since_us: int
    triggers: tuple[str, ...]
    stopped_with: tuple[str, ...]

    @property
    def is_on(self) -> bool:
        """Tell whether it runs, or is about to."""
        return self.active in ON


def state(manager: Manager, unit: str) -> UnitState:
    """Return a unit as its manager knows it now."""
    output = manager.systemctl(
        "show", *(f"--property={p}" for p in STATE_PROPERTIES.split()), "--", unit
    )
    properties = parse_show(output)
    return UnitState(
        manager=manager,
        unit=properties.get("Id", unit),
        load=properties.get("LoadState", "not-found"),
        active=properties.get("ActiveState", "inactive"),
        enabled=properties.get("UnitFileState", ""),
        since_us=int(properties.get("ActiveEnterTimestampMonotonic") or 0),
        triggers=tuple(properties.get("TriggeredBy", "").split()),
        stopped_with=tuple(
            u for key in STOPPED_WITH.split() for u in properties.get(key, "").split()
        ),
    )


def find_unit(name: str, option: str = "--lend-from") -> UnitState:
    """Find a unit by the name that a user writes: `judge.service`, or `user:judge.service`.

    Args:
        name: The name.
        option: The option that names it, for errors.

    Raises:
        BadInput: No manager knows it, or both do.
        SetupError: No systemd runs.
    """
    which, _, unit = (
        name.rpartition(":") if name.startswith(("user:", "system:")) else ("", "", name)
    )
    if not UNIT_NAME.fullmatch(unit):
        raise BadInput(
            f"{option} {name!r} is no unit; write its whole name, such as judge.service, "
            "or judge@1.service of a template"
        )
    managers = [
        Manager(is_user=is_user)
        for is_user in (False, True)
        if which in ("", "user" if is_user else "system")
    ]
    states: list[UnitState] = []
    problem: SetupError | None = None
    for manager in managers:
        try:
            states.append(state(manager, unit))
        except SetupError as error:
            problem = error  # no user manager for root, or none at all
    matches = [s for s in states if s.load != "not-found"]
    if not states and problem is not None:
        raise problem
    if not matches:
        raise BadInput(
            f"{option} {name}: there is no such unit; `systemctl list-units` shows those that run"
        )
    if len(matches) == 2:
        raise BadInput(
            f"{option} {name}: the system and the user both have it; "
            f"write system:{unit} or user:{unit}"
        )
    return matches[0]
