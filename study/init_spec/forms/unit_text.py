"""The text of a unit, or of a quadlet, gives the command that systemd would run."""

from __future__ import annotations

import pwd
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from objectives.errors import BadInput
from study.init_spec.forms.command import UnitCommand
from study.init_spec.forms.docker_run import of_run
from study.init_spec.forms.named_text import variables_of
from study.init_spec.forms.words import Operator, Word, WordPart, plain_words, split
from study.server_words.docker_run import run_words
from study.systemd.unit_file import EXEC_PREFIX, settings

# of a quadlet: the option of `podman run` by key
OPTIONS = {"AddDevice": "--device", "Volume": "--volume", "Mount": "--mount", "User": "--user"}
OPTIONS |= {"PublishPort": "--publish", "Network": "--network", "Environment": "--env"}
OPTIONS |= {"EnvironmentFile": "--env-file", "ContainerName": "--name", "ShmSize": "--shm-size"}
OPTIONS |= {"WorkingDir": "--workdir", "Ulimit": "--ulimit", "Entrypoint": "--entrypoint"}
OPTIONS |= {"SecurityLabelType": "--security-opt", "GroupAdd": "--group-add", "Tmpfs": "--tmpfs"}
SEVERAL = ("Environment", "Volume", "AddDevice")  # a line holds several words


def commands_of(
    texts: Sequence[str],
    name: str,
    env: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Iterator[UnitCommand]:
    """Yield the commands of a unit's texts, its drop-ins behind it, as systemd would start them.

    Args:
        texts: The unit and its drop-ins, in systemd's order.
        name: The name of the unit, for `%n` and the like.
        env: Its environment as systemd knows it; None: as its texts say.
        folder: Its folder as systemd knows it; None: as its texts say.

    Raises:
        BadInput: It starts nothing.
    """
    texts = [specified(t, name) for t in texts]
    if any("[Container]" in t for t in texts):
        yield _quadlet(texts)
        return
    own = environment(texts) if env is None else dict(env)
    for user in settings(texts, "Service", "User")[-1:]:
        with suppress(KeyError):
            own.setdefault("HOME", pwd.getpwnam(user).pw_dir)
    files = env_files(texts)
    where = Path("".join(settings(texts, "Service", "WorkingDirectory")[-1:]).lstrip("-!") or "/")
    starts = settings(texts, "Service", "ExecStart")
    if not starts:
        raise BadInput(f"{name}: it has no ExecStart= line; name the unit that starts the server")
    for start in starts:
        words = split(EXEC_PREFIX.sub("", start, count=1), "systemd")
        for part in _parts([w for w in words if not isinstance(w, Operator)]):
            begun = UnitCommand((), own, where if folder is None else folder, env_files=files)
            yield begun.with_words([_as_text(w) for w in part], own)


def _as_text(word: Word) -> Word:
    """Return a text of several words as it is: a shell reads the same variables in it."""
    is_text = any(p.name is None and " " in p.text for p in word)
    return (WordPart("".join(p.text for p in word)),) if is_text else word


def _parts(words: list[Word]) -> Iterator[list[Word]]:
    """Yield the commands of a line, which ` ; ` divides."""
    part: list[Word] = []
    for word in words:
        if len(word) == 1 and word[0].text == ";" and part:
            yield part
            part = []
        else:
            part.append(word)
    if part:
        yield part


def environment(texts: Sequence[str]) -> dict[str, str]:
    """Return what `Environment=` and `EnvironmentFile=` of a unit say, the files over the lines."""
    values: dict[str, str] = {}
    for line in settings(texts, "Service", "Environment"):
        values |= dict(w.partition("=")[::2] for w in plain_words(line) if "=" in w)
    for file in env_files(texts):
        values |= variables_of(file)
    return values


def env_files(texts: Sequence[str]) -> tuple[Path, ...]:
    """Return the files that `EnvironmentFile=` of a unit names."""
    lines = settings(texts, "Service", "EnvironmentFile")
    return tuple(Path(line.strip("\"'").removeprefix("-")) for line in lines)


def specified(text: str, name: str) -> str:
    """Return a unit's text with the specifiers filled in that its name and its user tell.

    >>> specified("ExecStart=/x --id %i --file %h/m 100%%", "llm@a.service")[:22]
    'ExecStart=/x --id a --'
    """
    stem = name.rpartition(".")[0] or name
    prefix, _, instance = stem.partition("@")
    known = {"n": name, "N": stem, "p": prefix, "i": instance, "I": instance, "%": "%"}
    known |= {"h": "/root", "u": "root", "t": "/run", "S": "/var/lib", "C": "/var/cache"}
    known |= {"E": "/etc", "L": "/var/log", "T": "/tmp", "V": "/var/tmp"}  # noqa: S108
    return re.sub(r"%([a-zA-Z%])", lambda m: known.get(m[1], m[0]), text)


def _quadlet(texts: Sequence[str]) -> UnitCommand:
    """Return the command in the container of a podman quadlet."""
    words: list[str] = []
    for key, option in OPTIONS.items():
        for line in settings(texts, "Container", key):
            values = plain_words(line) if key in SEVERAL else [line]
            if key == "Volume":  # of a quadlet's own volume
                values = [re.sub(r"^([^/:]+)\.volume:", r"systemd-\1:", v) for v in values]
            words += [w for v in values for w in (option, v)]
    for line in settings(texts, "Container", "PodmanArgs"):
        words += plain_words(line)
    image = settings(texts, "Container", "Image")
    if not image:
        raise BadInput("a quadlet without Image= starts no container; add the line")
    own = [w for line in settings(texts, "Container", "Exec")[-1:] for w in split(line, "systemd")]
    begun = UnitCommand((), env_files=env_files(texts))
    begun = begun.with_words([w for w in own if not isinstance(w, Operator)], environment(texts))
    return of_run(begun, "podman", run_words([*words, image[-1], *begun.argv]))
