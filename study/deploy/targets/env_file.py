"""Services that are no systemd units are changed through an env file and a restart command."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from objectives.errors import BadInput
from objectives.plain_data.atomic import write_atomic
from study.deploy.config.deployment import Deployment, EnvFile
from study.deploy.config.values import Assignment, Values, assigned
from study.deploy.state.version import bytes_of, digest_of, text_of
from study.deploy.state.versions import Chain
from study.deploy.targets.containers import Seen, seen
from study.deploy.targets.containers import log as log_of
from study.deploy.targets.drop_in import env_text, name_of
from study.deploy.targets.target import Life
from study.systemd import systemctl
from study.systemd.unit_file import env_values, values_of

ENV_COPY = "env"


class EnvTarget:
    """This target holds all services behind one env file, written whole by one rename.

    The version in force keeps its own copy.

    Args:
        deployment: The deployment, which says what maps to which variable.
        env_file: The file and its commands.
    """

    kind = "env file"

    def __init__(self, deployment: Deployment, env_file: EnvFile) -> None:
        self.deployment, self.env_file = deployment, env_file
        self.path = Path(env_file.path)
        self._started = False
        self._ours = {str(a.variable) for _, s in deployment.ordered() for a in s.set.values()}

    def check(self) -> None:
        """Check that the env file is there.

        Raises:
            BadInput: It is not.
        """
        if self.path.is_symlink() or not self.path.is_file():
            raise BadInput(
                f"{self.path}: there is no such plain file; write the variables of today into it"
            )
        for name, service in self.deployment.services.items():
            if service.container and (seen := self._seen(name)) is None:
                raise BadInput(
                    f"services.{name}.container: {self.env_file.program} knows no container "
                    f"{service.container}; write the name that `{self.env_file.program} ps` shows"
                )
            if service.container and seen is not None and not seen.life.active:
                raise BadInput(
                    f"{service.container}: it does not run; start it first: its figures are the "
                    "baseline"
                )

    def warnings(self) -> list[str]:
        """Return what this target cannot do."""
        lines = []
        if unseen := [n for n, s in self.deployment.services.items() if not s.container]:
            lines.append(
                "which values the running processes carry cannot be seen behind a restart command: "
                f"that gate does not run; name the `container:` of {' and '.join(unseen)}"
            )
        if not self.env_file.stop:
            lines.append(
                "without `env_file.stop:` nothing waits until the old processes have given "
                "their memory back"
            )
        lines.append(
            "a reboot during a trial keeps the tried values until `promote.py rollback`, "
            "or the watch, has run"
        )
        return lines

    def dependents(self) -> list[str]:
        """Return nothing: it is unknown here what stops along."""
        return []

    def start_others(self, names: Sequence[str]) -> None:
        """Do nothing: nothing is known to stop along."""

    def hashes(self) -> dict[str, str]:
        """Return the SHA-256 of the env file's other lines."""
        return {str(self.path): digest_of("\n".join(self._others(self._text())))}

    def files(self, values: Values) -> dict[str, str]:
        """Return the env file with these values."""
        new = {
            str(a.binding.variable): a.text
            for a in assigned(values, self.deployment)
            if a.text is not None
        }
        return {ENV_COPY: env_text(self._text(), new)}

    def own_files(self) -> dict[str, str]:
        """Return the env file as it is without us."""
        return {ENV_COPY: self._text()}

    def like(self) -> os.stat_result:
        """Return the owner and mode of the env file, which may hold keys.

        Raises:
            BadInput: It is gone.
        """
        if not self.path.is_file():
            copy = Chain(self.deployment.folder).link / ENV_COPY
            raise BadInput(
                f"{self.path}: it is gone, and nothing was changed; put it back first: that of the "
                f"version in force is `cp -p {copy} {self.path}`"
            )
        return self.path.stat()

    def first_files(self, own: Path) -> dict[str, str]:
        """Return the env file with our lines as version 0 has them."""
        return {ENV_COPY: self._with_our_lines(text_of(own / ENV_COPY))}

    def current_text(self, files: Mapping[str, str]) -> dict[str, str]:  # noqa: ARG002
        """Return the env file now."""
        return self.own_files()

    def try_on(self, files: Mapping[str, str]) -> None:
        """Write the env file, for whoever may read it now."""
        write_atomic(self.path, bytes_of(files[ENV_COPY]), like=self.like(), durable=True)

    def prepare(self) -> None:
        """Do nothing: the file is in place already."""

    def take_off(self) -> None:
        """Give the env file our lines of the version in force, where it has others.

        Its other lines stay as they are now: a key may have been changed by hand.
        """
        chain = Chain(self.deployment.folder)
        current = chain.current()
        if current is None:
            return
        copy = chain.path(current.number) / ENV_COPY
        if self._text() != (text := self._with_our_lines(text_of(copy))):
            like = self.path.stat() if self.path.is_file() else copy.stat()
            write_atomic(self.path, bytes_of(text), like=like, durable=True)

    def stop(self) -> list[str]:
        """Run the stop command, where there is one."""
        self._started = False
        if self.env_file.stop:
            systemctl.run(*self.env_file.stop, timeout_s=self.env_file.timeout_s)
        return []

    def start(self, name: str) -> None:  # noqa: ARG002
        """Start both at once, by the restart command."""
        if not self._started:
            self._started = True
            systemctl.run(*self.env_file.restart, timeout_s=self.env_file.timeout_s)

    def _seen(self, name: str) -> Seen | None:
        container = self.deployment.services[name].container
        return seen(self.env_file.program, container) if container else None

    def life(self, name: str) -> Life:
        """Return the life of its container; without one it never changes, and the probes tell."""
        if self.deployment.services[name].container is None:
            return Life(True, "", 0)
        container = self._seen(name)
        return Life(False, "", 0) if container is None else container.life

    def running(self, a: Assignment) -> list[str | None] | None:
        """Read the values from the container's command and variables; None where none is seen.

        A variable of the env file may be another one inside, and is not seen then.
        """
        container = self._seen(a.service)
        if container is None:
            return None
        if a.binding.flag:
            return [*values_of(container.argv, a.binding.flag)] or None
        variable = str(a.binding.variable)
        return [container.env[variable]] if variable in container.env else None

    def log(self, name: str, since_s: float | None) -> str:
        """Return the last part of the container's log or of the named file; empty without."""
        container = self.deployment.services[name].container
        if container is not None:
            return log_of(self.env_file.program, container, since_s)
        log = Path(self.deployment.services[name].log or "/")
        if not log.is_file() or (since_s is not None and log.stat().st_mtime < since_s):
            return ""
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 2**20))
            return file.read().decode("utf-8", errors="replace")

    def values(self) -> dict[str, str]:
        """Return the variables now."""
        return env_values(self._text())

    def _text(self) -> str:
        return text_of(self.path) if self.path.is_file() else ""

    def _others(self, text: str) -> list[str]:
        return [line for line in text.splitlines() if name_of(line) not in self._ours]

    def _with_our_lines(self, copy: str) -> str:
        now = self._text()
        if not now or self._others(now) == self._others(copy):
            return copy
        lines = [line for line in copy.split("\n") if name_of(line) in self._ours]
        ours = {name_of(line): line.partition("=")[2].rstrip("\r") for line in lines}
        kept = [s for s in now.split("\n") if name_of(s) not in self._ours - ours.keys()]
        return env_text("\n".join(kept), ours)
