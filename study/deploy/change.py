"""A change records itself, arms the timer, restarts all services, and ends with a commit."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from objectives.devices.device import Device
from objectives.errors import BadInput
from study.deploy.config.deployment import Deployment
from study.deploy.config.values import Assignment
from study.deploy.errors import StepFailed
from study.deploy.health.free_memory import wait_for_memory
from study.deploy.health.gates import wait_until_ready
from study.deploy.state import dead_man_timer, pending
from study.deploy.state.pending import Pending
from study.deploy.state.process_id import process_id
from study.deploy.state.version import Version
from study.deploy.state.versions import Chain
from study.deploy.targets.env_file import EnvTarget
from study.deploy.targets.target import Target

Say = Callable[[str], None]
Need = tuple[Device, float | None]  # and what the next servers need of it, MiB; None: not known


def print_line(text: str) -> None:
    """Print a line at once; a terminal that has gone must not end a change in its middle."""
    with suppress(OSError, ValueError):
        print(text, flush=True)


def first_version(deployment: Deployment, target: Target) -> Version:
    """Put version 0 in force: the units' own configuration with the values that run now.

    Raises:
        BadInput: A value of today cannot be seen.
    """
    chain = Chain(deployment.folder)
    values: dict[str, dict[str, str | None]] = {name: {} for name in deployment.services}
    for name, service in deployment.services.items():
        for parameter, binding in service.set.items():
            texts = target.running(Assignment(name, parameter, binding, None))
            if isinstance(target, EnvTarget) and texts is None:
                texts = [target.values().get(str(binding.variable))]
            if texts is None or len(set(texts)) != 1:
                problem = (
                    "cannot be seen" if texts is None else f"differs between its processes: {texts}"
                )
                raise BadInput(
                    f"{name}: what {binding.label} is now {problem}; is {service.unit} running?"
                )
            values[name][parameter] = texts[0]
    version = chain.draft(
        Version(0, values, target.hashes(), {}), target.own_files(), target.like()
    )
    chain.put_in_force(version.number)
    return version


def begin_change(
    deployment: Deployment, target: Target, kind: str, source: Version, new: Version
) -> None:
    """Record the change and arm the timer, before anything of production is touched."""
    this = process_id(os.getpid())
    change = Pending(
        kind=kind,
        source=source.number,
        target=new.number,
        promotion_sha256=new.promotion_sha256,
        dead_man=None,
        until_s=time.time() + deployment.dead_man_s,
        pid=this.pid,
        pid_since_s=this.since_s,
        boot=this.boot,
        command=this.command,
        dependents=tuple(target.dependents()),
    )
    pending.write(deployment.folder, change)
    timer = dead_man_timer.timer_of(deployment)
    try:
        timer = dead_man_timer.arm(deployment, deployment.dead_man_s)
        pending.write(deployment.folder, replace(change, dead_man=timer))
    except BaseException:
        dead_man_timer.disarm(timer)
        pending.path_of(deployment.folder).unlink(missing_ok=True)
        Chain(deployment.folder).discard(new.number)
        raise


def record_step(deployment: Deployment, what: str, *, held: bool = False) -> Pending:
    """Record the step that begins now, and return the record.

    Args:
        held: The change is on trial until somebody commits it.

    Raises:
        StepFailed: The record is gone.
    """
    change = pending.read(deployment.folder)
    if change is None:
        raise StepFailed("the record of this change is gone: somebody else ended it")
    change = replace(change, step=what, held=held)
    if held:
        pending.write(deployment.folder, change)
    else:
        with suppress(OSError):  # a full disk must not stop what can still end well
            pending.write(deployment.folder, change)
    return change


def put_in_force(deployment: Deployment, target: Target, version: Version) -> None:
    """Commit a version; what that needs beside the one rename is made first.

    Raises:
        OSError: The disk refuses, and the old version stays in force.
    """
    record_step(deployment, "commit")
    target.prepare()
    Chain(deployment.folder).put_in_force(version.number)


def restart(
    deployment: Deployment,
    target: Target,
    needs: Sequence[Need],
    say: Say,
    step: Say = print_line,
) -> None:
    """Stop all services, wait for the memory, and start them in the tuned order.

    Each is ready before the next starts.

    Args:
        needs: The devices whose memory is waited for, and what the next servers need of each.
        step: Gets each step's name.

    Raises:
        StepFailed: Memory does not come back, or a service is not ready in time.
    """
    step(f"stop {' and '.join(reversed([s.unit or n for n, s in deployment.ordered()]))}")
    killed = target.stop()
    if killed:
        say(f"{' and '.join(killed)} would not stop, and was killed")
    step("wait until memory is back")
    if not needs:
        say("not waited for memory: the deployment says `device: none`")
    for device, needed_mib in needs:
        free_mib = wait_for_memory(device, needed_mib, deployment.memory_timeout_s)
        of = f" of {device.identity.uuid}" if len(needs) > 1 else ""
        say(f"{free_mib:,.0f} MiB are free{of}")
    for name, service in deployment.ordered():
        step(f"start {service.unit or name}")
        target.start(name)
        wait_until_ready(target, deployment, name)
