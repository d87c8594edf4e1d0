"""A `docker run`, or its like, names what is in the container and what surrounds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from study.init_spec.forms.command import UnitCommand
from study.init_spec.forms.containers import command_in, port_pair
from study.init_spec.forms.named_text import variables_of
from study.init_spec.forms.running import Container
from study.init_spec.forms.words import plain_words
from study.server_words.docker_run import DETACHED, RunWords

# what the study keeps: what the server may use, and sees
KEPT = {"--gpus", "--device", "--runtime", "--volume", "--mount", "--tmpfs", "--ipc", "--shm-size"}
KEPT |= {"--ulimit", "--memory", "--memory-swap", "--cpus", "--cpuset-cpus", "--user", "--workdir"}
KEPT |= {"--security-opt", "--cap-add", "--cap-drop", "--group-add", "--userns", "--platform"}
KEPT |= {"--privileged", "--read-only", "--pid", "--init", "--cgroups", "--volumes-from"}


def of_run(command: UnitCommand, program: str, words: RunWords) -> UnitCommand:
    """Return what runs in the container of a `run`, with what surrounds it."""
    env: dict[str, str] = {}
    files = tuple(command.folder / file for file in words.values("--env-file"))
    for file in files:
        env |= variables_of(file)
    command = replace(command, env_files=(*command.env_files, *files))
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
