"""systemd units are changed by drop-ins beside the user's files, never in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import which

import psutil

from objectives.plain_data.atomic import write_atomic
from study.deploy.config.deployed import Deployed
from study.deploy.config.deployment import Deployment
from study.deploy.config.values import Assignment, Values, assigned
from study.deploy.errors import StepFailed
from study.deploy.state.versions import CURRENT, READY
from study.deploy.targets import wait_ready
from study.deploy.targets.drop_in import Start, drop_in, own_configuration
from study.deploy.targets.target import Life
from study.deploy.targets.unit_checks import ETC, check_units, committed
from study.systemd import units
from study.systemd.unit_file import (
    commands,
    exec_start,
    runs_container,
    values_of,
    values_of_container,
)
from study.systemd.units import COMMITTED, TRIAL
from study.systemd.wakers import WakingUnit, socket_of

RUN = Path("/run/systemd/system")
WAIT_S = 120.0


class Units:
    """This target holds all services as units of the machine's systemd.

    Args:
        deployment: The deployment, which names the units and what maps to which flag or variable.
    """

    kind = "systemd"

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.names: dict[str, str] = {name: str(s.unit) for name, s in deployment.ordered()}
        self._wakers: dict[str, WakingUnit | None] = {}
        self._lives: dict[str, units.Unit] = {}

    def check(self) -> None:
        """Check that both units are there, run, and can get what is mapped.

        Raises:
            BadInput: One is not, or cannot.
        """
        check_units(self.deployment, self.names)

    def warnings(self) -> list[str]:
        """Return what a person should know: units that would stay dead, or stop with ours."""
        lines = []
        for engine in (e for e in self.deployment.engines() if e.quiet_death):
            name, service = engine.name, self.deployment.services[engine.name]
            unit = units.unit(self.names[name])
            is_known = service.api is None  # which engine serves what is beside them, is not
            if is_known and unit.restart != "always" and not service.restart_always:
                lines.append(
                    f"{unit.name} has Restart={unit.restart}: {engine.quiet_death}; "
                    f"write `restart_always: true` below services.{name} to have Restart=always "
                    "in the drop-in"
                )
        for name in self.names:
            if (waker := self._waker(name)) is not None:
                lines.append(
                    f"{self.names[name]} sleeps until {waker.unit.unit} wakes it: whether it "
                    "slept or ended in the soak is not told apart"
                )
        return lines + [
            f"{u} stops together with them, and is started again after them"
            for u in self.dependents()
        ]

    def dependents(self) -> list[str]:
        """Return the active units that stop when ours stop."""
        names = {u for own in self._units().values() for u in own.dependents}
        return sorted(
            u for u in names - set(self.names.values()) if u.endswith(".service") and _is_active(u)
        )

    def start_others(self, names: Sequence[str]) -> None:
        """Start what had stopped together with ours."""
        for unit in names:
            units.start(unit)

    def hashes(self) -> dict[str, str]:
        """Return the SHA-256 of each unit's own files."""
        return {unit.name: unit.sha256 for unit in self._units().values()}

    def _units(self) -> dict[str, units.Unit]:
        """Return the unit of each service as systemd knows it now."""
        return dict(zip(self.names, units.units([*self.names.values()]), strict=True))

    def files(self, values: Values) -> dict[str, str]:
        """Return the drop-in of each unit, and the script that waits until one is ready."""
        texts = {}
        before: Deployed | None = None
        own = self._units()
        for name, service in self.deployment.ordered():
            unit = own[name]
            mine = [a for a in assigned(values, self.deployment) if a.service == name]
            is_container = any(runs_container(c) for c in commands(unit.texts()))
            needs_command = is_container or any(a.binding.is_flag for a in mine)
            command = exec_start(unit.texts(), unit.name) if needs_command else None
            start = (
                Start() if before is None else Start((str(before.unit),), self._wait(before, unit))
            )
            texts[f"{unit.name}.conf"] = drop_in(
                mine, command, unit.sha256, start, restart_always=service.restart_always
            )
            before = service
        return {**texts, READY: Path(wait_ready.__file__).read_text("utf-8")}

    def _wait(self, first: Deployed, second: units.Unit) -> str | None:
        """Return the command that waits, within the second unit's own time to start."""
        if first.health_url is None:
            return None
        wait_s = max(1.0, min(WAIT_S, first.start_timeout_s, 0.8 * second.start_timeout_s))
        python = which("python3", path="/usr/bin") or which("python3")
        script = self.deployment.folder / CURRENT / READY
        return f"{python} -I {script} {first.health_url} {wait_s:g} {first.unit}"

    def own_files(self) -> dict[str, str]:
        """Return drop-ins that change nothing."""
        own = {f"{unit}.conf": own_configuration(sha256) for unit, sha256 in self.hashes().items()}
        return {**own, READY: Path(wait_ready.__file__).read_text("utf-8")}

    def first_files(self, own: Path) -> dict[str, str]:  # noqa: ARG002
        """Return what changes nothing, made from the units as they are now."""
        return self.own_files()

    def like(self) -> None:
        """Return None: there is no one file that they stand for."""

    def current_text(self, files: Mapping[str, str]) -> dict[str, str]:
        """Return the committed drop-ins; empty text where there is none yet.

        Raises:
            PermissionError: Only root may read one.
        """
        texts = {}
        for unit in self.names.values():
            link = ETC / f"{unit}.d" / COMMITTED
            texts[f"{unit}.conf"] = link.read_text("utf-8") if link.exists() else ""
        return {name: texts.get(name, "") for name in files if name.endswith(".conf")}

    def try_on(self, files: Mapping[str, str]) -> None:
        """Write the drop-ins into the run-time directory, which a reboot empties."""
        for unit in self.names.values():
            folder = RUN / f"{unit}.d"
            folder.mkdir(parents=True, exist_ok=True)
            write_atomic(folder / TRIAL, files[f"{unit}.conf"], mode=0o600, durable=True)
        units.reload()
        for state in self._units().values():
            unit = state.name
            if state.load != "loaded" or RUN / f"{unit}.d" / TRIAL not in state.drop_ins:
                raise StepFailed(f"systemd did not take the drop-in of {unit} (state {state.load})")

    def prepare(self) -> None:
        """Make a link in /etc for each unit that leads through `current`, old version or new."""
        for unit in self.names.values():
            link = ETC / f"{unit}.d" / COMMITTED
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.unlink(missing_ok=True)
                link.symlink_to(committed(self.deployment, unit))

    def take_off(self) -> None:
        """Remove what is tried and have systemd read its files."""
        for unit in self.names.values():
            (RUN / f"{unit}.d" / TRIAL).unlink(missing_ok=True)
        units.reload()

    def stop(self) -> list[str]:
        """Stop both, last started first, and return those that had to be killed.

        A drop-in does not change how a unit stops, so a trial may be in place.
        """
        last_first = [*self.deployment.ordered()][::-1]
        return units.stop(
            [self.names[n] for n, _ in last_first], [s.stop_timeout_s for _, s in last_first]
        )

    def start(self, name: str) -> None:
        """Begin to start a unit, or what a socket starts before it; `life` tells what comes of it.

        systemd would stop one that nothing needs (`StopWhenUnneeded=`) again.
        """
        units.start(waker.starts if (waker := self._waker(name)) else self.names[name])

    def _waker(self, name: str) -> WakingUnit | None:
        if name not in self._wakers:
            self._wakers[name] = socket_of(self.names[name])
        return self._wakers[name]

    def life(self, name: str) -> Life:
        """Return this run as systemd knows it; asleep, or awake again, one lives on."""
        unit = self._lives[name] = units.unit(self.names[name])
        if self._waker(name) is not None:
            return Life(unit.active != "failed", "", unit.restarts, unit.result)
        return Life(unit.active == "active", unit.invocation, unit.restarts, unit.result)

    def running(self, a: Assignment) -> list[str | None] | None:
        """Read the values from the command lines and the environment of the unit's processes."""
        processes = units.processes(units.unit(self.names[a.service]).main_pid)
        values: list[str | None] = []
        try:
            for process in processes:
                if a.binding.flag:
                    values += values_of(process.cmdline(), a.binding.flag)
                    continue
                variable = str(a.binding.variable)
                passed = values_of_container(process.cmdline(), variable)
                if passed or process is processes[0]:
                    values += passed or [process.environ().get(variable)]
                    break
        except psutil.NoSuchProcess:
            return self.running(a) if _lives(processes) else None
        except psutil.AccessDenied:
            return None
        return (values or [None]) if processes else None

    def log(self, name: str, since_s: float | None) -> str:
        """Return the journal of this run, the one that `life` told last."""
        return units.journal(self._lives.get(name) or units.unit(self.names[name]), since_s)


def _is_active(unit: str) -> bool:
    return units.unit(unit).active == "active"


def _lives(processes: list[psutil.Process]) -> bool:
    return bool(processes) and processes[0].is_running()
