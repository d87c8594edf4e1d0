"""A container outlives the command that runs it, so it is known and ended by its own id."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

ContainerProgram = Literal["docker", "podman", "nerdctl"]
PROGRAMS: tuple[ContainerProgram, ...] = get_args(ContainerProgram)
FLAG = "--cidfile"
END_S = 20.0


def runs_container(argv: Sequence[str]) -> bool:
    """Tell whether a command is `docker run` or its like.

    >>> runs_container(["/usr/bin/docker", "run", "--gpus", "all", "vllm"])
    True
    >>> runs_container(["docker", "compose", "up"]), runs_container(["python", "run"])
    (False, False)
    """
    return len(argv) > 2 and Path(argv[0]).name in PROGRAMS and "run" in argv[1:3]


def with_id_file(argv: Sequence[str], file: Path) -> tuple[list[str], Path | None]:
    """Return a command that writes its container's id, and the file; as it is for any other.

    >>> with_id_file(["docker", "run", "--rm", "x"], Path("/a.cid"))
    (['docker', 'run', '--cidfile', '/a.cid', '--rm', 'x'], PosixPath('/a.cid'))
    >>> with_id_file(["docker", "run", "--cidfile=/b", "x"], Path("/a.cid"))[1]
    PosixPath('/b')
    >>> with_id_file(["vllm", "serve"], Path("/a.cid"))
    (['vllm', 'serve'], None)
    """
    words = [*argv]
    if not runs_container(words):
        return words, None
    for place, word in enumerate(words):
        name, is_joined, value = word.partition("=")
        if name == FLAG:
            value = value if is_joined else words[place + 1] if place + 1 < len(words) else ""
            return words, Path(value) if value else None
    place = words.index("run") + 1
    return [*words[:place], FLAG, str(file), *words[place:]], file


def end(program: str, id_file: str) -> bool:
    """Remove the container whose id a file holds, running or not; tell whether there was one."""
    file = Path(id_file)
    try:
        container = file.read_text("utf-8", errors="replace").strip()
    except OSError:
        return False
    if Path(program).name not in PROGRAMS or not (container.isascii() and container.isalnum()):
        return False
    done = None
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(
            [program, "rm", "--force", container],
            capture_output=True,
            timeout=END_S,
            check=False,
        )
    if done is not None and done.returncode == 0:
        file.unlink(missing_ok=True)
    return done is not None and done.returncode == 0
