"""A version is a drop-in for each unit, or the lines of an env file; their text is made here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from study.deploy.config.values import Assignment
from study.systemd.unit_file import with_flag, with_variable


@dataclass(frozen=True, slots=True)
class Start:
    """A unit has this place in the start order.

    Args:
        after: Units that are started first.
        wait: The command that ends when they are ready; None without a health page.
    """

    after: Sequence[str] = ()
    wait: str | None = None


def drop_in(
    assigned: Sequence[Assignment],
    command: str | None,
    unit_sha256: str,
    start: Start,
    *,
    restart_always: bool,
) -> str:
    """Return the drop-in of one unit: its place in the order, its variables, its command.

    Args:
        command: The unit's own ExecStart as written; None where neither a flag nor a variable of
            its container is set.
        unit_sha256: Digest of the unit's own files, so that a later change of theirs is noticed.
    """
    unit = [f"After={' '.join(start.after)}"] if start.after else []
    service = []
    for a in assigned:
        if a.text is None:
            continue
        variable, flag = a.binding.variable, a.binding.flag
        changed = None
        if command is not None and variable is None:
            changed = with_flag(command, str(flag), a.text)
        elif command is not None and flag is None:
            changed = with_variable(command, str(variable), a.text)
        if changed is None:
            service.append(f'Environment="{variable}={a.text}"')
        else:
            command = changed
    if command is not None:
        service += ["ExecStart=", f"ExecStart={command}"]
    if start.wait:
        service.append(f"ExecStartPre=-{start.wait}")
    if restart_always:
        service.append("Restart=always")
    lines = [
        "# by gpu-allocation-study; change it with scripts/promote.py, which keeps the versions"
    ]
    lines.append(f"# made from the unit with sha256 {unit_sha256}")
    lines += ["[Unit]", *unit] if unit else []
    lines += ["[Service]", *service] if service else []
    return "\n".join(lines) + "\n"


def own_configuration(unit_sha256: str) -> str:
    """Return the drop-in of version 0, which changes nothing."""
    return (
        "# by gpu-allocation-study: the unit's own configuration\n"
        f"# the unit has sha256 {unit_sha256}\n"
    )


def env_text(text: str, values: Mapping[str, str]) -> str:
    """Return an env file's text with these variables; its other lines stay.

    >>> env_text("# ours\\nSHARE=0.5\\nKEY=x\\n", {"SHARE": "0.6", "SIZE": "base"})
    '# ours\\nSHARE=0.6\\nKEY=x\\nSIZE=base\\n'
    """
    left = dict(values)
    lines = []
    end = "\r" if "\r\n" in text else ""
    for line in text.removesuffix("\n").split("\n") if text else ():
        name = name_of(line)
        if name in values:
            if name in left:
                lines.append(f"{name}={left.pop(name)}{end}")
            continue
        lines.append(line)
    return "\n".join([*lines, *(f"{k}={v}{end}" for k, v in left.items())]) + "\n"


def name_of(line: str) -> str:
    """Return the variable that a line of an env file sets; empty where it sets none."""
    name, is_set, _ = line.partition("=")
    return name.strip() if is_set else ""
