"""Units are checked here before a change: there, running, and able to get what is mapped."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from itertools import combinations
from pathlib import Path

import psutil

from objectives.errors import BadInput
from study.deploy.config.deployed import Deployed
from study.deploy.config.deployment import Deployment
from study.deploy.state.versions import CURRENT
from study.systemd import units
from study.systemd.unit_file import commands, env_values, exec_start, settings, values_of, words_of
from study.systemd.units import COMMITTED
from study.systemd.wakers import socket_of

ETC = Path("/etc/systemd/system")


def committed(deployment: Deployment, unit: str) -> Path:
    """Return what a unit's committed drop-in links to: its file of the version in force."""
    return deployment.folder / CURRENT / f"{unit}.conf"


def check_units(deployment: Deployment, names: Mapping[str, str]) -> None:
    """Check the units of a deployment and the order in which they start.

    Args:
        names: The unit of each service, in the start order.

    Raises:
        BadInput: A unit is not there, is masked or off, or cannot get what is mapped.
    """
    services = dict(deployment.ordered())
    for name, unit in zip(names, units.units([*names.values()]), strict=True):
        _check_unit(deployment, services[name], unit)
    for (name, first), (other, second) in combinations(names.items(), 2):
        try:
            before = units.ordered_after(first, but=COMMITTED)
        except PermissionError:  # a plan without root cannot tell our After= from the user's
            continue
        if second in before:
            swap = {name: other, other: name}
            other_order = ", ".join(swap.get(n, n) for n in names)
            raise BadInput(
                f"{first}: it is ordered After={second}, and start_order has it first: at boot "
                "systemd would leave one of them out; take that After= (or Before=) away, "
                f"or write `start_order: [{other_order}]`"
            )


def _check_unit(deployment: Deployment, service: Deployed, unit: units.Unit) -> None:
    if unit.load == "not-found":
        raise BadInput(
            f"{unit.name}: there is no such unit; `systemctl list-units --type=service` lists yours"
        )
    if unit.load != "loaded" or not unit.files:
        raise BadInput(
            f"{unit.name}: its state is {unit.load!r}; "
            f"make `systemctl status {unit.name}` clean first"
        )
    if unit.active != "active" and (unit.active == "failed" or socket_of(unit.name) is None):
        raise BadInput(
            f"{unit.name}: it is {unit.active}, not running; start it first: "
            "its figures are the baseline; where it cannot start as it is, write into it by hand "
            "what the promotion has under `set:`, start it, and nothing is left to apply"
        )
    if any(s.is_flag for s in service.set.values()):
        check_flags(service, unit, exec_start(unit.texts(), unit.name))
    for file in unit.env_files:
        check_env_file(file, service)
    for file in (f for f in unit.files[1:] if f.name > COMMITTED):
        _check_later_drop_in(file, service)
    link = ETC / f"{unit.name}.d" / COMMITTED
    if link.is_symlink() and link.readlink() != committed(deployment, unit.name):
        raise BadInput(
            f"{link}: another deployment holds this unit; "
            "roll that one back to version 0 and remove it"
        )


def _check_later_drop_in(file: Path, service: Deployed) -> None:
    """Refuse a drop-in that systemd reads after ours, where it sets what ours would set."""
    texts = [file.read_text("utf-8", errors="replace")]
    words = [w for v in settings(texts, "Service", "Environment") for w in words_of(v)]
    words += [w for v in settings(texts, "Service", "UnsetEnvironment") for w in words_of(v)]
    named = {word.partition("=")[0] for word in words}
    for binding in service.set.values():
        key = "ExecStart" if binding.is_flag else binding.variable
        if key in named or (binding.is_flag and commands(texts)):
            raise BadInput(
                f"{file}: it sets {key}, and systemd reads it after our drop-in, which would do "
                f"nothing; give it a name before {COMMITTED}, such as override.conf, and run "
                "`systemctl daemon-reload`"
            )


def check_flags(service: Deployed, unit: units.Unit, command: str) -> None:
    """Refuse a flag that the running process has and its command does not: a second one would win.

    argparse takes the last, and then not all of a unit's processes carry one value.
    """
    written = words_of(command)
    with suppress(psutil.Error):
        running = [p.cmdline() for p in units.processes(unit.main_pid)]
        for flag in (str(b.flag) for b in service.set.values() if b.is_flag):
            values = [v for words in running for v in values_of(words, flag)]
            if values and not values_of([*written, ""], flag):
                raise BadInput(
                    f"{unit.name}: its process has {flag} {values[0]}, which its ExecStart does "
                    "not name: a variable or a script sets it, and a drop-in would add a second "
                    f"one; write ${{NAME}} behind {flag} there and map `variable: NAME, "
                    f"flag: {flag}`, or move the flag into ExecStart"
                )


def check_env_file(file: Path, service: Deployed) -> None:
    """Refuse an env file that sets what a drop-in would: systemd prefers the file."""
    try:
        text = file.read_text("utf-8", errors="replace") if file.is_file() else ""
    except PermissionError:  # a plan without root; an apply may read it
        return
    variables = env_values(text)
    for binding in service.set.values():
        if binding.variable in variables:
            raise BadInput(
                f"{file}: it sets {binding.variable}, and systemd prefers an EnvironmentFile to a "
                "drop-in; move that line into the unit as "
                f"Environment={binding.variable}=..."
            )
