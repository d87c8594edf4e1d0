"""A server runs, or would run, like this: its own words, whatever wraps them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from objectives.engines.every import unit_forms
from study.init_spec.forms.expansion import Blank
from study.init_spec.forms.named_text import text_of


@dataclass(frozen=True, slots=True)
class Project:
    """A project of compose starts the service that a container is.

    Args:
        words: What begins each of its commands: the program, its files and its name.
        file: The first of its files.
        service: The service in it.
        env_file: The file that its variables are filled from.
        is_attached: Whether what started it waits for its end, as a unit does.
    """

    words: tuple[str, ...]
    file: Path
    service: str
    env_file: Path
    is_attached: bool = False


@dataclass(frozen=True, slots=True)
class Container:
    """A container holds the server.

    Args:
        program: What runs it: `docker` or `podman`.
        image: Its image.
        name: Its name; None where it has none.
        options: The options of `run` that the study keeps: devices, volumes, memory, user.
        entrypoint: What replaces the image's own; None: the image's own.
        command: The words behind the image, as written.
        ports: The port on the host by the port in the container; empty where it has the host's
            network.
        compose: The project of compose that it is in; None: none.
        manifest: The manifest of Kubernetes and the workload and container in it; None: none.
        pid: Its main process on this machine; 0: none is known.
    """

    program: str
    image: str
    name: str | None = None
    options: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] = ()
    ports: Mapping[int, int] = field(default_factory=dict)
    compose: Project | None = None
    manifest: tuple[Path, str] | None = None
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Sleep:
    """A server sleeps until a socket of systemd's wakes it.

    Args:
        socket: The socket's unit.
        port: Its TCP port.
        idle_s: After so long without a request it is stopped, seconds.
    """

    socket: str
    port: int
    idle_s: float


@dataclass(frozen=True, slots=True)
class Running:
    """A server runs like this now, or would by its text.

    Args:
        unit: What starts it: a unit, a container, or a file, by its name.
        argv: The words of the process that serves; in a container those inside.
        env: The variables that its configuration sets, so that nothing else of the process is
            written down; in a container those inside.
        folder: Its working directory.
        restart: Its Restart=.
        pids: Its processes.
        ports: TCP ports on which it listens on this machine.
        container: What holds it; None: nothing.
        interpreter: Its Python, where the words do not name it whole.
        variables: The variable of the configuration that a flag's value comes from, by flag.
        hidden: The variable of the configuration that a flag itself stands in, by flag.
        plumbing: The variables that only its own command or script reads.
        script: The wrapper script that has the flags; None: its configuration has them itself.
        is_unit: Whether a unit of systemd's runs it.
        sleep: What wakes it; None: it runs all the time.
        member: Its own name among the servers that the unit or file starts; empty: it is alone.
        blanks: What variables without a value left empty in its words.
        env_files: The files that its variables are read from.
    """

    unit: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    folder: Path
    restart: str
    pids: tuple[int, ...]
    ports: tuple[int, ...]
    container: Container | None = None
    interpreter: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    hidden: Mapping[str, str] = field(default_factory=dict)
    plumbing: frozenset[str] = frozenset()
    script: str | None = None
    is_unit: bool = True
    sleep: Sleep | None = None
    member: str = ""
    blanks: tuple[Blank, ...] = ()
    env_files: tuple[Path, ...] = ()

    @property
    def label(self) -> str:
        """Return its name for people: what starts it, and which of several it is."""
        return f"{self.unit}: {self.member}" if self.member else self.unit

    def unset(self, blanks: Sequence[Blank]) -> str:
        """Say of variables that they have no value, and of the files that they come from why."""
        names = [*dict.fromkeys(f"`{b.variable}`" for b in blanks)]
        verb = "is" if len(names) == 1 else "are"
        state = "empty" if all(b.is_set for b in blanks) else "not set"
        files = [
            f"{f} {'cannot be read' if text_of(f) is None else 'gives no value'}"
            for f in dict.fromkeys(self.env_files)
        ]
        why = ", ".join(files) or "nothing that is read here gives a value"
        return f"{', '.join(names)} {verb} {state}: {why}"

    @property
    def lack(self) -> str:
        """Return in brackets why a word of it may be missing; empty where nothing is."""
        if self.blanks:
            return f" ({self.unset(self.blanks)})"
        unread = ", ".join(str(f) for f in self.env_files if text_of(f) is None)
        return f" ({unread} cannot be read)" if unread else ""

    def path(self, word: str) -> str:
        """Make a file or folder as the server sees it absolute; return any other word as it is."""
        if self.container is not None or word.startswith("/") or "/" not in word:
            return word
        place = self.folder / word
        return str(place) if place.exists() else word

    @property
    def python(self) -> str | None:
        """Return its interpreter, absolute; None where it has none, or it is in a container.

        It is the first word, also where that is relative or bare; of a command of a virtual
        environment it is the one beside it.
        """
        if self.container is not None:
            return None
        if self.interpreter is not None:
            return self.interpreter
        first = self.argv[0]
        place = Path(self._placed(first))
        if place.name.startswith(("python", "pypy")):
            return str(place) if place.is_absolute() else None
        beside = place.with_name("python")
        is_command = place.is_absolute() and place.name in COMMANDS
        return str(beside) if is_command and (beside.exists() or not place.exists()) else None

    def _placed(self, word: str) -> str:
        if word.startswith("/"):
            return word
        if "/" in word:
            return str(self.folder / word)
        return shutil.which(word, path=self.env.get("PATH")) or word


# commands that a Python package installs beside its interpreter
COMMANDS = ("infinity_emb", *(c for f in unit_forms() if f.is_package for c in f.commands))
