"""A promise is an enabled oneshot that gives the units back at the next boot, and records them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from objectives.errors import SetupError
from objectives.plain_data.atomic import sync_folder, write_atomic
from study.service_pause.containers import ContainerState
from study.service_pause.restore import SCOPE
from study.systemd.manager import Manager, UnitState

PROMISE_PREFIX = "gpu-allocation-lent-"


@dataclass(frozen=True, slots=True)
class Promise:
    """A promise gives the units of one manager back.

    Args:
        manager: The manager of these units.
        token: Names the promise, and marks the environment of what the study starts.
        states: How the units were, in the order in which they came up.
        containers: How the containers were that this promise gives back too.
    """

    manager: Manager
    token: str
    states: Sequence[UnitState]
    containers: Sequence[ContainerState] = ()

    @property
    def unit(self) -> str:
        """Return the name of its own unit."""
        return f"{PROMISE_PREFIX}{self.token}.service"

    @property
    def path(self) -> Path:
        """Return its file."""
        return self.manager.lasting / self.unit

    @property
    def link(self) -> Path:
        """Return the link that enables it."""
        return self.manager.wants / self.unit

    def masks(self) -> list[Path]:
        """Return the link that masks each unit."""
        return [self.manager.masks / s.unit for s in self.states]

    def text(self) -> str:
        """Return the unit file.

        After a reboot the masks are gone, so it starts the units that ran, with what they need.
        """
        systemctl = " ".join(
            [shutil.which("systemctl") or "/usr/bin/systemctl", *self.manager.flags]
        )
        by_hand = f"{' '.join(['systemctl', *self.manager.flags])} start {self.unit}"
        remove = f"{shutil.which('rm') or '/bin/rm'} -f"
        names = ", ".join([*(s.unit for s in self.states), *(c.unit for c in self.containers)])
        started = [c for c in self.containers if c.is_on]
        # what watches a container stays where it was started, and must not end with this unit
        scope = " ".join(
            [shutil.which("systemd-run") or "/usr/bin/systemd-run", *self.manager.flags, *SCOPE]
        )
        masks = [word(str(link)) for link in self.masks()]
        on = [s.unit for s in self.states if s.is_on]
        lines = [
            "# A study has borrowed the GPU of these units. "
            "This brings them back after a reboot; whoever brings",
            f"# them back first removes it. By hand: {by_hand}",
            "[Unit]",
            *(["After=docker.service podman.service"] if started else []),
            f"Description=Give {names.replace('%', '%%')} back after a study",
            "[Service]",
            "Type=oneshot",
            *([f"ExecStart=-{remove} {' '.join(masks)}"] if masks else []),
            f"ExecStart=-{systemctl} daemon-reload",
            *(f"ExecStart=-{systemctl} start --no-block -- {word(unit)}" for unit in on),
            *(f"ExecStart=-{scope} {word(c.program)} start {word(c.name)}" for c in started),
            f"ExecStart={remove} {word(str(self.link))} {word(str(self.path))}",
            f"ExecStart=-{systemctl} --no-block daemon-reload",
            "[Install]",
            f"WantedBy={self.manager.wants.name.removesuffix('.wants')}",
            "[X-Lent]",
            *(f"{'On' if s.is_on else 'Off'}={s.unit}" for s in self.states),
            *(f"Container={c.program} {c.name}" for c in started),
            *(f"Mask={link}" for link in self.masks()),
            f"Want={self.link}",
        ]
        return "\n".join(lines) + "\n"

    def make(self) -> None:
        """Write and enable it, so that it survives a power cut from here on.

        Raises:
            SetupError: This user may not.
        """
        try:
            self.link.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(self.path, self.text(), durable=True)
            self.link.symlink_to(self.path)
            sync_folder(self.link.parent)
        except OSError as error:
            with suppress(OSError):  # a file system that is read-only refuses this too
                self.path.unlink(missing_ok=True)
            raise SetupError(
                f"{self.path} cannot be written ({error.strerror}); "
                "lending from units of the system needs root: run the same command with sudo"
            ) from error
        self.manager.systemctl("daemon-reload")


def word(text: str) -> str:
    r"""Quote a word of an ExecStart= line.

    >>> print(word("my\\x2dunit%.service"))
    "my\\x2dunit%%.service"
    """
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + text.replace("%", "%%").replace("$", "$$") + '"'
