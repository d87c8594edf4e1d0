"""What stands before a server's own words is taken off: env, nice, shells, uv, containers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from study.init_spec.forms.command import UnitCommand
from study.init_spec.forms.compose import services as compose
from study.init_spec.forms.containers import inspected
from study.init_spec.forms.docker_run import of_run
from study.init_spec.forms.named_text import text_of, variables_of
from study.init_spec.forms.shell import commands, conda_python
from study.init_spec.forms.words import NAME
from study.server_words.docker_run import PROGRAMS, run_at, run_words
from study.systemd.unit_file import SHELLS

# by wrapper: its options that take a value of their own, and how many words come before the command
WRAPPERS: dict[str, tuple[tuple[str, ...], int]] = {
    "exec": (("-a",), 0),
    "nice": (("-n", "--adjustment"), 0),
    "ionice": (("-c", "-n", "-p", "--class", "--classdata"), 0),
    "chrt": (("-T", "-P", "-D"), 1),
    "taskset": (("-c", "--cpu-list"), 0),
    "numactl": (("-N", "-m", "-C", "-p", "-i"), 0),
    "timeout": (("-s", "-k", "--signal", "--kill-after"), 1),
    "stdbuf": (("-i", "-o", "-e"), 0),
    "nohup": ((), 0),
    "setsid": ((), 0),
    "unbuffer": ((), 0),
    "time": (("-f", "-o"), 0),
    "sudo": (("-u", "-g", "-h", "-p", "-C", "--user", "--group"), 0),
    "runuser": (("-u", "-g", "-G", "--user"), 0),
    "setpriv": ((), 0),
    "gosu": ((), 1),
    "su-exec": ((), 1),
    "chpst": (("-u", "-e", "-b", "-m", "-n"), 0),
    "cgexec": (("-g",), 0),
    "systemd-inhibit": ((), 0),
    "systemd-run": (("-p", "--property", "-u", "--unit", "-E", "--setenv", "--slice"), 0),
    "systemd-cat": (("-t", "-p", "--identifier"), 0),
    "flock": (("-w", "-E", "--timeout"), 1),
    "screen": (("-S", "-dmS", "-DmS", "-c", "-t"), 0),
    "tmux": (("-s", "-n", "-c", "-e", "-t", "-x", "-y", "-L", "-S", "-f"), 1),
    "tini": (("-p", "-e"), 0),
    "dumb-init": (("-r", "--rewrite"), 0),
    "catatonit": ((), 0),
    "direnv": ((), 2),
    "op": (("--env-file",), 1),
    "doppler": (("-p", "-c", "--project", "--config"), 1),
    "infisical": (("--env", "--path"), 1),
    "poetry": (("-C", "--directory", "-P", "--project"), 1),
    "pdm": (("-p", "--project"), 1),
    "pipenv": ((), 1),
    "hatch": (("-e", "--env"), 1),
    "rye": ((), 1),
    "pixi": (("-e", "--environment", "--manifest-path"), 1),
    "uv": ((), 1),
    "uvx": (("--from", "--with", "--python", "-p"), 0),
    "conda": (("-n", "--name", "-p", "--prefix", "--cwd"), 1),
    "mamba": (("-n", "--name", "-p", "--prefix", "--cwd"), 1),
    "micromamba": (("-n", "--name", "-p", "--prefix", "--cwd"), 1),
}
OF_UV: tuple[str, ...] = (
    "--extra",
    "--group",
    "--with",
    "--python",
    "-p",
    "--env-file",
    "--project",
    "--directory",
)
OF_UV += ("--with-requirements", "--package", "--index-url", "--extra-index-url", "--index", "-C")
OF_USER = ("su", "runuser")  # a shell of another user
CONDAS = ("conda", "mamba", "micromamba")
OF_VENV = ("uv", "poetry", "pdm", "pipenv", "rye")
INLINE = "the text of `bash -c` (where a unit needs $$ for $)"
DETACHES = {"tmux": re.compile("-d"), "screen": re.compile("-d(m|mS)?|-D(m|mS)")}
LEADING = 8  # of the words of those, before the command
LAYERS = 12  # of wrappers; a script that runs itself ends here


def unwrapped(command: UnitCommand, layers: int = LAYERS) -> Iterator[UnitCommand]:
    """Yield every command that this one comes down to, each without its wrappers."""
    command = _without_assignments(command)
    if not command.argv or layers == 0:
        if command.container is not None and not command.argv:
            yield command  # its image alone says what runs
        return
    inner = _inner(command, Path(command.argv[0]).name)
    if inner is None:
        yield command
    for other in inner or ():
        yield from unwrapped(other, layers - 1)


def _inner(command: UnitCommand, first: str) -> Iterable[UnitCommand] | None:
    """Return what a wrapper runs; None where the command is none."""
    if first == "env":
        return [_env(command)]
    if first in PROGRAMS and run_at(command.argv) is not None:
        return _in_container(command)
    is_text = any(re.fullmatch(r"-\w*c", w) for w in command.argv)
    if (first in SHELLS and len(command.argv) > 1) or (first in OF_USER and is_text):
        return _shell(command)
    if first in DETACHES and any(DETACHES[first].fullmatch(w) for w in command.argv[1:LEADING]):
        command = replace(command, is_background=True)
    if first == "tmux" and " " in command.argv[-1]:  # a shell's text, in one word
        return commands(command.argv[-1], replace(command, script=INLINE))
    if first in WRAPPERS:
        return [_wrapper(command, first)]
    text = _script(command)
    return None if text is None else commands(text, command, _place(command))


def _without_assignments(command: UnitCommand) -> UnitCommand:
    """Take `NAME=value` words from the front, as `env` and a shell have them."""
    argv, env = [*command.argv], dict(command.env)
    while argv and "=" in argv[0] and NAME.fullmatch(argv[0].partition("=")[0]):
        name, _, value = argv.pop(0).partition("=")
        env[name] = value
    return replace(command, argv=tuple(argv), env=env)


def _env(command: UnitCommand) -> UnitCommand:
    argv, env = [*command.argv[1:]], dict(command.env)
    while argv and argv[0].startswith("-"):
        option = argv.pop(0)
        if option in ("-u", "--unset") and argv:
            env.pop(argv.pop(0), None)
        elif option in ("-C", "--chdir") and argv:
            command = replace(command, folder=command.folder / argv.pop(0))
        elif option in ("-i", "-", "--ignore-environment"):
            env = {}
        elif option.startswith(("-S", "--split-string")):
            text = option.partition("=")[2] or option.removeprefix("-S") or argv.pop(0)
            argv = [*text.split(), *argv]
        elif option == "--":
            break
    return replace(command, argv=tuple(argv), env=env)


def _shell(command: UnitCommand) -> Iterator[UnitCommand]:
    """Yield the commands of `bash -lc TEXT` or of `bash FILE`."""
    argv = command.argv
    place = 0
    while place + 1 < len(argv):
        place += 1
        word = argv[place]
        if re.fullmatch(r"-[a-z]*o|\+o|--rcfile|--init-file", word):
            place += 1  # the name of an option, or a file
            continue
        if re.fullmatch(r"-[A-Za-z]*c[A-Za-z]*", word):
            text, rest = "".join(argv[place + 1 : place + 2]), argv[place + 2 :]
            where = command.script or INLINE
            yield from commands(text, replace(command, argv=rest or ("bash",), script=where))
            return
        if Path(argv[0]).name in OF_USER:
            continue
        if not word.startswith(("-", "+")):
            script = replace(command, argv=argv[place:])
            body = _text(script) if command.container is None else None
            yield from [] if body is None else commands(body, script, _place(script))
            return


def _in_container(command: UnitCommand) -> Iterator[UnitCommand]:
    """Yield what runs in the container of a `docker run`, or in each of a compose file's."""
    place = run_at(command.argv)
    program = Path(command.argv[0]).name
    words = command.argv[(place or 0) + 1 :]
    if program.endswith("-compose") or command.argv[place or 0] == "compose":
        for _, inner in compose.of_command(command, words):
            yield inner
    elif place is not None and command.argv[place] == "start":
        names = [w for w in words if not w.startswith("-")]
        for name in names:
            yield inspected(program, name)
    else:
        yield of_run(command, program, run_words(words))


def _wrapper(command: UnitCommand, name: str) -> UnitCommand:
    with_value, words = WRAPPERS[name]
    argv, env, folder = [*command.argv[1:]], dict(command.env), command.folder
    python = command.interpreter
    with_value += OF_UV if name in ("uv", "uvx") else ()
    left = words + (name == "taskset" and bool(re.match("0x|[0-9]", argv[0] if argv else "")))
    while argv and (argv[0].startswith("-") or left):
        word = argv.pop(0)
        if not word.startswith("-"):
            left -= 1
            continue
        option, is_joined, value = word.partition("=")
        if option in with_value and not is_joined and argv:
            value = argv.pop(0)
        if option in ("--directory", "--project", "-C", "--cwd"):
            folder = folder / value
        if option == "--env-file":
            env |= variables_of(folder / value)
        if option in ("-n", "--name", "-p", "--prefix") and name in CONDAS:
            python = conda_python(value)
        if word == "--":
            break
    if name in OF_VENV and python is None:
        python = str(folder / ".venv/bin/python")
    return replace(command, argv=tuple(argv), env=env, folder=folder, interpreter=python)


def _place(command: UnitCommand) -> Path:
    return command.folder / command.argv[0]


def _script(command: UnitCommand) -> str | None:
    """Return the text of a shell script that a command is; None where it is none."""
    if command.container is not None:  # its files are in the image
        return None
    text = _text(command) if "/" in command.argv[0] else None
    first = (text or "").split("\n", 1)[0]
    is_shell = first.startswith("#!") and any(
        word.rpartition("/")[2] in SHELLS for word in first[2:].split()
    )
    return text if is_shell or (text and command.argv[0].endswith(".sh")) else None


def _text(command: UnitCommand) -> str | None:
    """Return the text of the script that a command is; None where it has come through it before."""
    if (place := _place(command)) in command.opened:
        return None
    text = text_of(place)
    return None if text is None or "\0" in text[:1024] else text
