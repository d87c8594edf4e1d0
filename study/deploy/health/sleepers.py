"""What wakes a service that sleeps is looked for in its unit before a promotion is applied."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

from objectives.allocation import RESIDENT
from objectives.engines.every import sleep_modes, wakes_itself
from objectives.errors import BadInput, SetupError
from objectives.on_demand.wakers import FRONT, LLAMA_SWAP, SOCKET, front_words, waker_fault
from study.deploy.config.deployed import Deployed
from study.systemd.unit_file import SHELLS, values_of, words_of
from study.systemd.unit_look import Look, look
from study.systemd.wakers import socket_of
from study.text import one_line

FRONT_COMMAND = "python objectives/on_demand/front.py --port PORT -- COMMAND --port {own_port}"


def compare_sleepers(
    on_demand: Mapping[str, Any],
    parameters: Mapping[str, Any],
    commands: Mapping[str, Any],
    services: Mapping[str, Deployed],
    path: Path,
) -> list[str]:
    """Return a sentence for each service that sleeps, with what wakes it.

    Args:
        on_demand: What the promotion says of those that sleep.
        parameters: Its parameters.
        commands: The measured command of each service.
        services: The services in production.
        path: The promotion's file.

    Raises:
        BadInput: It says of one nothing that can wake it, or its unit shows that nothing does.
    """
    searched = [str(k) for k, v in parameters.items() if v is False]
    asleep = [k.removesuffix(f".{RESIDENT}") for k in searched if k.endswith(f".{RESIDENT}")]
    notes = []
    for name in dict.fromkeys((*on_demand, *asleep)):
        own, shown = on_demand.get(name), one_line(str(name))[:20]
        sleeper = own if isinstance(own, Mapping) else {}
        waker = one_line(str(sleeper.get("woken_by") or ""))[:40]
        wakes = wakes_itself(words_of(str(commands.get(name, ""))))
        if fault := waker_fault(shown, waker, wakes):
            what, way_out = fault
            raise BadInput(
                f"{path}: on_demand.{shown}.woken_by: {what}; {way_out}, in its spec, and measure "
                "it anew"
            )
        unit = services[name].unit if name in services else None
        sleeps_as_process = sleeper.get("sleep_mode") is True
        try:
            note = _seen(waker, unit, wakes, sleeps_as_process=sleeps_as_process)
        except BadInput as error:
            raise BadInput(f"{path}: {shown} sleeps until it is asked, and {error}") from error
        notes.append(f"{shown} sleeps until it is asked: {note}")
    return notes


def _seen(
    waker: str, unit: str | None, wakes: Mapping[str, str], *, sleeps_as_process: bool
) -> str:
    """Return what was seen of what wakes a unit.

    Raises:
        BadInput: The unit shows that nothing does.
    """
    way = " by its sleep mode" if sleeps_as_process else ""
    unseen = f"that {waker} wakes it{way} was not checked"
    if waker == LLAMA_SWAP:
        return f"{unseen}: llama-swap could not be tried; look into its configuration"
    if unit is None:
        return unseen
    if waker == SOCKET:
        return _by_socket(unit, unseen)
    if (seen := look(unit)) is None:
        return f"{unseen}: {unit} cannot be looked at"
    if waker == FRONT:
        return _by_front(seen, unseen, sleeps_as_process=sleeps_as_process)
    return _by_itself(seen, waker, wakes[waker], unseen)


def _by_front(seen: Look, unseen: str, *, sleeps_as_process: bool) -> str:
    """Return that a front wakes a unit."""
    front = next((own for words in seen.commands if (own := front_words(words))), None)
    if front is not None:
        here = f"the front in {seen.unit} wakes it"
        return _by_sleep_mode(seen, *front, unseen) if sleeps_as_process else here
    if not seen.is_whole:
        return f"{unseen}: the command of {seen.unit} names no front, and may start one"
    raise BadInput(
        f"nothing wakes it: neither the command of {seen.unit} nor its processes are a front; "
        f"write `ExecStart={FRONT_COMMAND}` into it and start it anew"
    )


def _by_socket(unit: str, unseen: str) -> str:
    try:
        waker = socket_of(unit)
    except SetupError:
        return unseen
    if waker is None:
        raise BadInput(
            f"no socket that runs starts {unit}; start one whose service is {unit}, or is a "
            f"systemd-socket-proxyd with Requires={unit}"
        )
    return f"{waker.unit.unit} starts {waker.starts} then"


def _by_itself(seen: Look, waker: str, variable: str, unseen: str) -> str:
    """Return when what a unit runs unloads its model by itself."""
    if not any(waker in wakes_itself(words) for words in seen.commands):
        if not seen.is_whole:
            return f"{unseen}: the command of {seen.unit} does not tell what it starts"
        raise BadInput(
            f"what {seen.unit} runs does not unload its model by itself; deploy the server that "
            "was measured, or name what wakes this one in its spec, and measure it anew"
        )
    if seen.env is None:
        return f"{unseen}: the variables of {seen.unit} cannot be read"
    if (value := seen.env.get(variable)) is None:
        return f"{seen.unit} names no {variable}: its server's own time, or a request's, counts"
    if value.startswith("-"):
        raise BadInput(
            f"{seen.unit} has {variable}={one_line(value)[:20]}, with which it never sleeps; write "
            "the `idle_s` of the promotion"
        )
    return f"{seen.unit} has {variable}={one_line(value)[:20]}"


def _by_sleep_mode(seen: Look, own: list[str], server: list[str], unseen: str) -> str:
    """Return that a front lets a server sleep as the process that it is."""
    (sleep, wake), (flag, variable) = sleep_modes()[0]
    if not (values_of(own, "--sleep") and values_of(own, "--wake")):
        raise BadInput(
            f"the front in {seen.unit} stops the server, which was measured in its sleep mode; "
            f'add `--sleep "{sleep}" --wake {wake}` before its `--`'
        )
    if seen.env is None:
        return f"{unseen}: the variables of {seen.unit} cannot be read"
    flags = {word.replace("_", "-") for words in seen.commands for word in words}
    lacks = [] if flag in flags else [flag]
    if seen.env.get(variable, "0") == "0":
        lacks.append(f"{variable}=1")
    if not lacks:
        return f"the front in {seen.unit} wakes it by {wake}"
    names = {PurePath(word).name for word in server[:1]}
    if names.intersection(SHELLS) or any(n.endswith(".sh") for n in names) or "--config" in server:
        return f"{unseen}: {seen.unit} does not show {' and '.join(lacks)}"
    raise BadInput(
        f"the server behind the front in {seen.unit} has no sleep mode without "
        f"{' and '.join(lacks)}; add what is missing to the unit and start it anew"
    )
