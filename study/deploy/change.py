"""The beginning and the steps of a change: version 0, the record, the armed timer, the commit."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import replace

import psutil

from objectives.errors import BadInput
from study.deploy.config.deployment import NAMES, Deployment
from study.deploy.config.values import Assignment
from study.deploy.errors import StepFailed
from study.deploy.state import dead_man_timer, pending
from study.deploy.state.pending import Pending
from study.deploy.state.versions import Chain, Version
from study.deploy.targets.env_file import EnvTarget
from study.deploy.targets.target import Target


def first_version(deployment: Deployment, target: Target) -> Version:
    """Version 0: the units' own configuration with the values that run now."""
    chain = Chain(deployment.folder)
    values: dict[str, dict[str, str | None]] = {name: {} for name in NAMES}
    for name in NAMES:
        for parameter, setting in deployment.service(name).set.items():
            found = target.running(Assignment(name, parameter, setting, None))
            if isinstance(target, EnvTarget):
                found = [target.values().get(str(setting.variable))]
            if found is None or len(set(found)) != 1:
                seen = (
                    "cannot be seen" if found is None else f"differs between its processes: {found}"
                )
                raise BadInput(
                    f"{name}: what {setting.shown} is now {seen}; is {deployment.service(name).unit} running?"
                )
            values[name][parameter] = found[0]
    version = chain.draft(
        Version(0, values, target.hashes(), {}), target.own_files(), target.like()
    )
    chain.put_in_force(version.number)
    return version


def begin(deployment: Deployment, target: Target, kind: str, source: Version, new: Version) -> None:
    """Record the change and arm the timer, before anything of production is touched."""
    begun = Pending(
        kind=kind,
        source=source.number,
        target=new.number,
        promotion_sha256=new.promotion_sha256,
        dead_man=None,
        until_s=time.time() + deployment.dead_man_s,
        pid=os.getpid(),
        pid_since_s=psutil.Process().create_time(),
        boot=pending.boot_id(),
        dependents=tuple(target.dependents()),
    )
    pending.write(deployment.folder, begun)
    try:
        armed = replace(begun, dead_man=dead_man_timer.arm(deployment, deployment.dead_man_s))
        pending.write(deployment.folder, armed)
    except BaseException:
        dead_man_timer.disarm(dead_man_timer.unit_name(deployment))
        pending.path_of(deployment.folder).unlink(missing_ok=True)
        Chain(deployment.folder).discard(new.number)
        raise


def step(deployment: Deployment, what: str, *, held: bool = False) -> Pending:
    begun = pending.read(deployment.folder)
    if begun is None:
        raise StepFailed("the record of this change is gone: somebody else ended it")
    begun = replace(begun, step=what, held=held)
    if held:
        pending.write(deployment.folder, begun)
    else:
        with suppress(OSError):  # a full disk must not stop what can still end well
            pending.write(deployment.folder, begun)
    return begun


def put_in_force(deployment: Deployment, target: Target, version: Version) -> None:
    """The commit; what it needs beside the one rename is made first.

    raises: OSError where the disk refuses, and the old version stays in force
    """
    step(deployment, "commit")
    target.prepare()
    Chain(deployment.folder).put_in_force(version.number)
