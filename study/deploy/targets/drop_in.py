"""What a version writes: a drop-in per unit, or the lines of an env file. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from study.deploy.config.values import Assignment
from study.systemd.unit_file import with_flag


@dataclass(frozen=True, slots=True)
class Start:
    """How a unit takes its place in the start order.

    after: units that are started first; wait: the command that ends when they are ready, None without a health page
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
    """The drop-in of one unit: its place in the start order, its variables, its command with our flags.

    command: the unit's own ExecStart as written; None where no flag is set
    unit_sha256: of the unit's own files, so that a later change of theirs is noticed
    """
    unit = [f"After={' '.join(start.after)}"] if start.after else []
    service = [
        f'Environment="{a.setting.variable}={a.text}"'
        for a in assigned
        if a.setting.variable and a.text is not None
    ]
    if command is not None:
        for a in assigned:
            if a.setting.flag and a.text is not None:
                command = with_flag(command, a.setting.flag, a.text)
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
    """The drop-in of version 0, which changes nothing."""
    return f"# by gpu-allocation-study: the unit's own configuration\n# the unit has sha256 {unit_sha256}\n"


def env_text(text: str, values: Mapping[str, str]) -> str:
    """An env file's text with these variables; its other lines stay.

    >>> env_text("# ours\\nSHARE=0.5\\nKEY=x\\n", {"SHARE": "0.6", "SIZE": "base"})
    '# ours\\nSHARE=0.6\\nKEY=x\\nSIZE=base\\n'
    """
    left = dict(values)
    lines = []
    for line in text.splitlines():
        name = line.partition("=")[0].strip()
        if "=" in line and name in values:
            if name in left:
                lines.append(f"{name}={left.pop(name)}")
            continue
        lines.append(line)
    return "\n".join([*lines, *(f"{k}={v}" for k, v in left.items())]) + "\n"


def env_values(text: str) -> dict[str, str]:
    """The variables of an env file."""
    pairs = (
        line.partition("=")
        for line in text.splitlines()
        if "=" in line and not line.lstrip().startswith("#")
    )
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}
