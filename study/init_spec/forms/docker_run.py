"""A `docker run`, or its like, names what is in the container and what surrounds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from objectives.servers.supervision.container import PROGRAMS as CONTAINER_PROGRAMS
from study.init_spec.forms.command import UnitCommand
from study.init_spec.forms.containers import command_in, port_pair
from study.init_spec.forms.named_text import variables_of
from study.init_spec.forms.running import Container
from study.init_spec.forms.words import plain_words

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
# what the study keeps: what the server may use, and sees
KEPT = {"--gpus", "--device", "--runtime", "--volume", "--mount", "--tmpfs", "--ipc", "--shm-size"}
KEPT |= {"--ulimit", "--memory", "--memory-swap", "--cpus", "--cpuset-cpus", "--user", "--workdir"}
KEPT |= {"--security-opt", "--cap-add", "--cap-drop", "--group-add", "--userns", "--platform"}
KEPT |= {"--privileged", "--read-only", "--pid", "--init", "--cgroups", "--volumes-from"}


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


def of_run(command: UnitCommand, program: str, words: RunWords) -> UnitCommand:
    """Return what runs in the container of a `run`, with what surrounds it."""
    env: dict[str, str] = {}
    for file in words.values("--env-file"):
        env |= variables_of(command.folder / file)
    for text in words.values("--env"):
        name, is_given, value = text.partition("=")
        if is_given or name in command.env:
            env[name] = value if is_given else command.env[name]
    entry = words.values("--entrypoint")
    own = tuple(plain_words(entry[-1])) if entry else None
    is_detached = bool(words.values(DETACHED))
    return command_in(
        replace(command, is_background=command.is_background or is_detached),
        Container(
            program=program,
            image=words.image,
            name="".join(words.values("--name")[-1:]) or None,
            options=tuple(
                f"{n}={v}" if v else n for n, v in words.options if n in KEPT and (n, v) != ("", "")
            ),
            entrypoint=own,
            command=words.command,
            ports={} if is_on_host(words.values("--network")) else published(words),
        ),
        env,
        Path("".join(words.values("--workdir")[-1:]) or "/"),
    )


def is_on_host(networks: Sequence[str]) -> bool:
    """Tell whether a container has the host's network."""
    return "host" in networks


def published(words: RunWords) -> dict[int, int]:
    """Return the host's port by the container's."""
    return dict(p for text in words.values("--publish") if (p := port_pair(text)) is not None)
