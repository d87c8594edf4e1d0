"""systemd units as the target: drop-ins beside the user's files, never in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import which

import psutil

from objectives.errors import BadInput
from objectives.plain_data.atomic import write_atomic
from study.deploy.config.deployment import Deployed, Deployment, Name
from study.deploy.config.values import Assignment, Values, assigned
from study.deploy.errors import StepFailed
from study.deploy.state.versions import CURRENT
from study.deploy.targets import wait_ready
from study.deploy.targets.drop_in import Start, drop_in, env_values, own_configuration
from study.deploy.targets.target import Life
from study.systemd import units
from study.systemd.unit_file import exec_start, values_of
from study.systemd.units import COMMITTED, TRIAL

ETC, RUN = Path("/etc/systemd/system"), Path("/run/systemd/system")
WAIT_S = 120.0


class Units:
    """Both services as units of the machine's systemd."""

    kind = "systemd"

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.names: dict[Name, str] = {name: str(s.unit) for name, s in deployment.ordered()}

    def check(self) -> None:
        """raises: BadInput for a unit that is not there, is masked, or cannot get what is mapped"""
        for name, service in self.deployment.ordered():
            found = units.unit(self.names[name])
            if found.load == "not-found":
                raise BadInput(
                    f"{found.name}: there is no such unit; `systemctl list-units --type=service` lists yours"
                )
            if found.load != "loaded" or not found.files:
                raise BadInput(
                    f"{found.name}: its state is {found.load!r}; make `systemctl status {found.name}` clean first"
                )
            if found.active != "active":
                raise BadInput(
                    f"{found.name}: it is {found.active}, not running; start it first: its figures are the baseline"
                )
            if any(s.flag for s in service.set.values()):
                exec_start(found.texts(), found.name)
            for file in found.env_files:
                self._check_env_file(file, service)
            link = ETC / f"{found.name}.d" / COMMITTED
            if link.is_symlink() and link.readlink() != self._linked(found.name):
                raise BadInput(
                    f"{link}: another deployment holds this unit; roll that one back to version 0 and remove it"
                )

        first, second = self.names.values()
        if second in units.ordered_after(first, but=COMMITTED):
            llm_first = "[llm, stt]" if self.deployment.start_order[0] == "stt" else "[stt, llm]"
            raise BadInput(
                f"{first}: it is ordered After={second}, and start_order has it first: at boot systemd would leave one "
                f"of them out; take that After= (or Before=) away, or write `start_order: {llm_first}`"
            )

    def _check_env_file(self, file: Path, service: Deployed) -> None:
        held = env_values(file.read_text("utf-8", errors="replace")) if file.is_file() else {}
        for setting in service.set.values():
            if setting.variable in held:
                raise BadInput(
                    f"{file}: it sets {setting.variable}, and systemd prefers an EnvironmentFile to a drop-in; "
                    f"move that line into the unit as Environment={setting.variable}=..."
                )

    def warnings(self) -> list[str]:
        """Restart= of the LLM unit, units that stop together with ours."""
        said = []
        for name, service in self.deployment.ordered():
            found = units.unit(self.names[name])
            if name == "llm" and found.restart != "always" and not service.restart_always:
                said.append(
                    f"{found.name} has Restart={found.restart}: vLLM exits with 0 when its engine dies, and would stay "
                    "dead; write `restart_always: true` below services.llm to have Restart=always in the drop-in"
                )
        return said + [
            f"{u} stops together with them, and is started again after them"
            for u in self.dependents()
        ]

    def dependents(self) -> list[str]:
        """Active units that stop when ours stop."""
        found = {u for own in self.names.values() for u in units.unit(own).dependents}
        return sorted(
            u for u in found - set(self.names.values()) if u.endswith(".service") and _is_active(u)
        )

    def start_others(self, names: Sequence[str]) -> None:
        """Start what had stopped together with ours."""
        for unit in names:
            units.start(unit)

    def hashes(self) -> dict[str, str]:
        """SHA-256 of each unit's own files."""
        return {unit: units.unit(unit).sha256 for unit in self.names.values()}

    def files(self, values: Values) -> dict[str, str]:
        """The drop-in of each unit, and the readiness wait's script."""
        found = {}
        first: Deployed | None = None
        for name, service in self.deployment.ordered():
            unit = units.unit(self.names[name])
            mine = [a for a in assigned(values, self.deployment) if a.service == name]
            command = (
                exec_start(unit.texts(), unit.name) if any(a.setting.flag for a in mine) else None
            )
            start = Start() if first is None else Start((str(first.unit),), self._wait(first, unit))
            found[f"{unit.name}.conf"] = drop_in(
                mine, command, unit.sha256, start, restart_always=service.restart_always
            )
            first = service
        return {**found, "ready.py": Path(wait_ready.__file__).read_text("utf-8")}

    def _wait(self, first: Deployed, second: units.Unit) -> str | None:
        """The command that waits, within the second unit's own time to start."""
        if first.health_url is None:
            return None
        wait_s = max(1.0, min(WAIT_S, first.start_timeout_s, 0.8 * second.start_timeout_s))
        python = which("python3", path="/usr/bin") or which("python3")
        script = self.deployment.folder / CURRENT / "ready.py"
        return f"{python} -I {script} {first.health_url} {wait_s:g} {first.unit}"

    def own_files(self) -> dict[str, str]:
        """Drop-ins that change nothing."""
        own = {f"{unit}.conf": own_configuration(sha256) for unit, sha256 in self.hashes().items()}
        return {**own, "ready.py": Path(wait_ready.__file__).read_text("utf-8")}

    def like(self) -> None:
        """Units may be read by everybody."""

    def current_text(self, files: Mapping[str, str]) -> dict[str, str]:
        """The committed drop-ins; empty where there is none yet."""
        found = {}
        for unit in self.names.values():
            link = ETC / f"{unit}.d" / COMMITTED
            found[f"{unit}.conf"] = link.read_text("utf-8") if link.exists() else ""
        return {name: found.get(name, "") for name in files if name.endswith(".conf")}

    def try_on(self, files: Mapping[str, str]) -> None:
        """Write the drop-ins into the run-time directory, which a reboot empties."""
        for unit in self.names.values():
            folder = RUN / f"{unit}.d"
            folder.mkdir(parents=True, exist_ok=True)
            write_atomic(folder / TRIAL, files[f"{unit}.conf"], mode=0o644, durable=True)
        units.reload()
        for unit in self.names.values():
            found = units.unit(unit)
            if found.load != "loaded" or RUN / f"{unit}.d" / TRIAL not in found.drop_ins:
                raise StepFailed(f"systemd did not take the drop-in of {unit} (state {found.load})")

    def prepare(self) -> None:
        """A link in /etc for each unit that leads through `current`, which may still be the old version."""
        for unit in self.names.values():
            link = ETC / f"{unit}.d" / COMMITTED
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.unlink(missing_ok=True)
                link.symlink_to(self._linked(unit))

    def take_off(self) -> None:
        """Remove what is tried and have systemd read its files."""
        for unit in self.names.values():
            (RUN / f"{unit}.d" / TRIAL).unlink(missing_ok=True)
        units.reload()

    def has_trial(self) -> bool:
        """Whether a run-time drop-in of ours is there."""
        return any((RUN / f"{unit}.d" / TRIAL).exists() for unit in self.names.values())

    def stop(self) -> list[str]:
        """Last started first; a drop-in does not change how a unit stops, so a trial may be in place."""
        last_first = list(reversed(list(self.deployment.ordered())))
        return units.stop(
            [self.names[n] for n, _ in last_first], [s.stop_timeout_s for _, s in last_first]
        )

    def start(self, name: Name) -> None:
        """The unit; what comes of it, `life` tells."""
        units.start(self.names[name])

    def life(self, name: Name) -> Life:
        """As systemd tells it."""
        found = units.unit(self.names[name])
        return Life(found.active == "active", found.invocation, found.restarts, found.result)

    def running(self, a: Assignment) -> list[str | None] | None:
        """From the command lines and the environment of the unit's own processes."""
        found = units.processes(units.unit(self.names[a.service]).main_pid)
        values: list[str | None] = []
        try:
            for process in found:
                if a.setting.flag:
                    values += values_of(process.cmdline(), a.setting.flag)
                elif process is found[0]:
                    values.append(process.environ().get(str(a.setting.variable)))
        except psutil.NoSuchProcess:
            return self.running(a) if _lives(found) else None
        except psutil.AccessDenied:
            return None
        return (values or [None]) if found else None

    def log(self, name: Name, since_s: float | None) -> str:
        """The journal of this run, or the file that the deployment names."""
        return units.journal(units.unit(self.names[name]), since_s)

    def _linked(self, unit: str) -> Path:
        return self.deployment.folder / CURRENT / f"{unit}.conf"


def _is_active(unit: str) -> bool:
    return units.unit(unit).active == "active"


def _lives(found: list[psutil.Process]) -> bool:
    return bool(found) and found[0].is_running()
