"""The command of a server becomes a template of a spec, in its container where it has one."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence

from study.init_spec.forms.running import Running
from study.server_words.images import entrypoint

PLAIN = re.compile(r"[\w@%+=:,./{}-]+", re.ASCII)
SECRET = re.compile(r"(?i).*(TOKEN|API_?KEY|SECRET|PASSW|CREDENTIAL).*")
OF_ENGINE = re.compile(
    r"PATH|HOME|HOSTNAME|NV_\w+|NVARCH|CUDA_VERSION|NVIDIA_REQUIRE\w*|DEBIAN_\w+"
)


def literal(words: Iterable[str]) -> list[str]:
    """Return words of a command as words of a template: a brace of theirs is written twice."""
    return [w.replace("{", "{{").replace("}", "}}") for w in words]


def quoted(words: Iterable[str]) -> str:
    """Return a template that is split into these words.

    >>> quoted(["x", "--port", "{port}", "--j", '{{"a": 1}}'])
    'x --port {port} --j \\'{{"a": 1}}\\''
    """
    return " ".join(w if PLAIN.fullmatch(w) else shlex.quote(w) for w in words)


def template(
    unit: Running,
    start: int,
    words: Sequence[str],
    env: Mapping[str, str] | None = None,
    inside: int | None = None,
) -> str:
    """Return the template that starts a server of today with other words.

    Args:
        unit: How it runs.
        start: How many of its words name the server and its verb; they stay.
        words: The words behind them, of a template: with `{port}`, and braces written twice.
        env: Variables of the template, such as `{port}` for a server that has no flag for it.
        inside: The port in the container, where no flag moves it; None: a flag does.
    """
    own = [*map(unit.path, unit.argv[:start])]
    if own and unit.interpreter and own[0].startswith("python"):
        own[0] = unit.interpreter
    if own and unit.interpreter and "/" not in own[0] and not own[0].startswith("python"):
        own[0] = unit.interpreter.rpartition("/")[0] + "/" + own[0]
    more = dict(env or {})
    container = unit.container
    if container is None:
        before = ["env", *(f"{k}={v}" for k, v in more.items())] if more else []
        return quoted([*before, *literal(own), *words])
    kept = {k: v for k, v in unit.env.items() if not SECRET.fullmatch(k)}
    variables = [f"--env={n}={v}" for n, v in kept.items() if not OF_ENGINE.fullmatch(n)]
    variables = [v for v in variables if v[6:].partition("=")[0] not in more]
    secrets = [f"--env={n}" for n in unit.env if SECRET.fullmatch(n)]
    program = "podman" if container.program.startswith("podman") else "docker"
    run = [program, "run", "--rm", *container.options, *variables, *secrets]
    is_fixed = inside is not None
    values = [f"--publish=127.0.0.1:{{port}}:{inside}" if is_fixed else "--network=host"]
    values += [f"--env={k}={v}" for k, v in more.items()]
    entry, image = entrypoint(container.image), [*container.image.split()]
    if container.entrypoint is None and entry and tuple(own[: len(entry)]) == entry:
        behind = own[len(entry) :]
        return quoted([*literal(run), *values, *literal([*image, *behind]), *words])
    option = [f"--entrypoint={own[0]}"] if own else []
    return quoted([*literal([*run, *option]), *values, *literal([*image, *own[1:]]), *words])
