"""The words of a `docker run`, or its like, are options, an image and the container's own words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from objectives.servers.supervision.container import PROGRAMS as CONTAINER_PROGRAMS

PROGRAMS = (*CONTAINER_PROGRAMS, "docker-compose", "podman-compose")
# options of `run` without a value
ALONE = {"--detach", "--interactive", "--tty", "--rm", "--init", "--privileged", "--read-only"}
ALONE |= {"--no-healthcheck", "--oom-kill-disable", "--publish-all", "--sig-proxy", "--replace"}
ALONE |= {"--rmi", "--no-hosts", "--no-hostname", "--env-host", "--http-proxy", "--quiet", "--help"}
ALONE |= {"--passwd", "--rootfs", "--unsetenv-all", "--disable-content-trust", "--tls-verify"}
SHORT_ALONE = "ditPq"
DETACHED = "--detach"
OF_PROGRAM: tuple[str, ...] = (
    "-H",
    "--host",
    "-c",
    "--context",
    "-l",
    "--log-level",
    "--config",
    "--root",
)
OF_PROGRAM += ("--runroot", "--storage-driver", "--cgroup-manager", "--events-backend", "--url")
LONG = {"-e": "--env", "-v": "--volume", "-p": "--publish", "-u": "--user", "-w": "--workdir"}
LONG |= {"-m": "--memory", "-c": "--cpu-shares", "-h": "--hostname", "-l": "--label"}


@dataclass(frozen=True, slots=True)
class RunWords:
    """The words of a `run` are options by name, the image and the container's own words.

    Args:
        options: Each option with its value, long names, in order; empty without a value.
        image: The image.
        command: The words behind it.
    """

    options: Sequence[tuple[str, str]]
    image: str
    command: tuple[str, ...] = field(default=())

    def values(self, name: str) -> list[str]:
        """Return every value of an option."""
        return [v for n, v in self.options if n == name]


def run_at(argv: Sequence[str]) -> int | None:
    """Return where the verb of docker's command line is: run, create, start, compose; None: none.

    >>> run_at(["docker", "-H", "x", "container", "run", "img"]), run_at(["docker", "ps"])
    (4, None)
    """
    place = 1
    if argv and Path(argv[0]).name.endswith("-compose"):
        return 0
    while place < len(argv):
        word = argv[place]
        if word.startswith("-"):
            place += 2 if word in OF_PROGRAM else 1
        elif word == "container":
            place += 1
        else:
            return place if word in ("run", "create", "start", "compose") else None
    return None


def run_words(words: Sequence[str]) -> RunWords:
    """Read the words behind `run`.

    >>> run_words(["-it", "--gpus=all", "--rm", "img:1", "--x"])
    RunWords(options=[('--gpus', 'all'), ('--rm', '')], image='img:1', command=('--x',))
    """
    options: list[tuple[str, str]] = []
    left = [*words]
    while left and left[0].startswith("-"):
        word = left.pop(0)
        name, is_joined, value = word.partition("=")
        if not word.startswith("--"):
            short = word[1:].lstrip(SHORT_ALONE)
            if "d" in word[1 : len(word) - len(short)]:
                options.append((DETACHED, ""))
            if not short:
                continue
            name, value = f"-{short[0]}", short[1:].removeprefix("=")
            name = LONG.get(name, name)
            is_joined = value
        if not is_joined and name not in ALONE and left:
            value = left.pop(0)
        options.append((name, value))
    if ("--rootfs", "") in options and left:
        return RunWords(options, f"--rootfs {left[0]}", tuple(left[1:]))
    return RunWords(options, left[0] if left else "", tuple(left[1:]))


def host_path(options: Iterable[tuple[str, str]], inside: Path) -> Path | None:
    """Return where this machine has a file of a container; None: in its image or its own volume.

    Args:
        options: The options of its `run`, by their long names.
        inside: The file as the container sees it.

    >>> host_path([("--volume", "/data:/models:ro")], Path("/models/q.gguf"))
    PosixPath('/data/q.gguf')
    >>> host_path([("--mount", "type=bind,src=/data,dst=/models")], Path("/models/q.gguf"))
    PosixPath('/data/q.gguf')
    >>> host_path([("--volume", "models:/models")], Path("/models/q.gguf"))
    """
    found = [b for b in _binds(options) if inside.is_relative_to(b[1])]
    if not found:
        return None
    source, target = max(found, key=lambda b: len(b[1].parts))  # the innermost is seen
    return source / inside.relative_to(target)


def bound_folders(options: Iterable[tuple[str, str]]) -> list[Path]:
    """Return the folders and files of this machine that a container sees."""
    return [source for source, _ in _binds(options)]


def _binds(options: Iterable[tuple[str, str]]) -> list[tuple[Path, Path]]:
    """Return each path of this machine that a container sees, with the one that it has there."""
    pairs: list[tuple[str, str]] = []
    for name, text in options:
        if name == "--volume":
            source, _, rest = text.partition(":")
            pairs.append((source, rest.partition(":")[0]))
        elif name == "--mount":
            fields = dict(part.partition("=")[::2] for part in text.split(","))
            source = fields.get("source") or fields.get("src") or ""
            target = fields.get("target") or fields.get("dst") or fields.get("destination") or ""
            pairs.append((source, target))
    is_path = ("/", ".", "~")  # any other source is a volume of the engine's own
    return [(Path(s).expanduser(), Path(t)) for s, t in pairs if s.startswith(is_path) and t]
