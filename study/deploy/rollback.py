"""A rollback ends a change that is under way or on trial, or brings an older version back."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import replace

from objectives.errors import BadInput
from study.deploy.change import Say, begin_change, print_line, put_in_force
from study.deploy.config.deployment import Deployment
from study.deploy.errors import RolledBack, nothing_changed
from study.deploy.recover import needs_root, settled
from study.deploy.state import dead_man_timer, pending
from study.deploy.state.version import Version
from study.deploy.state.versions import Chain
from study.deploy.targets.open_target import target_of
from study.deploy.targets.target import Target


def rollback(deployment: Deployment, to: int | None = None, say: Say = print_line) -> None:
    """End a change that is under way or on trial; else go back to an older version.

    Args:
        to: Its number; None: the version before.

    Raises:
        BadInput: There is nothing to go back to.
        RolledBack: That version does not answer, and production stays.
        ProductionDown: Neither answers.
    """
    needs_root(deployment)
    try:
        change, is_broken = pending.read(deployment.folder), False
    except pending.UnreadableRecord as error:
        change, is_broken = None, True
        say(error.finding)
    if change is not None or is_broken:
        dead_man_timer.check_same(deployment)
    if change is not None and change.is_alive:
        say(f"ending the {change.kind} of process {change.pid}")
        change.process.send(signal.SIGTERM)
    target, chain = target_of(deployment), Chain(deployment.folder)
    if change is None and not is_broken:
        _history(chain)
    with pending.locked(deployment.folder, wait_s=deployment.restart_s if change else 0.0):
        is_broken = is_broken and pending.put_aside(deployment.folder)
        if change is not None or is_broken:
            result = settled(deployment, "rolled back by hand", say, is_unread=is_broken)
            say(f"rolled back: {result.summary}")
            if is_broken:
                dead_man_timer.disarm(dead_man_timer.timer_of(deployment))
            if to is None:
                return
        history = _history(chain)
        current = history[0]
        before = _before(history) if to is None else _numbered(history, to)
        if to is not None and before is None:
            chain.read(to)
            raise BadInput(
                f"version {to} never came into force; choose one of {[v.number for v in history]}"
            )
        if before is None or before.number == current.number:
            origin = f", which restores version {current.restores}"
            say(
                f"nothing to roll back: version {current.number} is in force"
                + (origin if current.restores is not None else "")
            )
            say(settled(deployment, "rolled back twice", say).summary)
            return
        new = _restore(deployment, target, current, before)
        try:
            put_in_force(deployment, target, new)
        except OSError as error:
            settled(deployment, str(error), say)
            raise RolledBack(
                f"the disk refused ({error.strerror}); production stays on version {current.number}"
            ) from error
        result = settled(deployment, f"rolled back to version {before.number}", say)
        if result.version.number != new.number:
            raise RolledBack(
                f"version {before.number} does not work here any more; {result.summary}"
            )
        say(f"rolled back: {result.summary}, with the values of version {before.number}")


def _history(chain: Chain) -> Sequence[Version]:
    if not (history := chain.history()):
        raise BadInput(
            f"nothing was ever applied under {chain.folder}: there is nothing to roll back"
        )
    return history


def _numbered(history: Sequence[Version], number: int) -> Version | None:
    return next((v for v in history if v.number == number), None)


def _before(history: Sequence[Version]) -> Version | None:
    """Return the version before the one in force; None where that is a rollback or the first."""
    return history[1] if len(history) > 1 and history[0].restores is None else None


def _restore(deployment: Deployment, target: Target, current: Version, before: Version) -> Version:
    """Draft a version with an older one's values, made from the units as they are now."""
    try:
        own = Chain(deployment.folder).path(0)
        files = target.first_files(own) if before.is_own else target.files(before.values)
        restored = before.number if before.restores is None else before.restores
        is_known = not before.is_own or target.hashes() == dict(before.units)
        # the units' own values have changed with the units
        values = before.values if is_known else {}
        new = replace(before, values=values, restores=restored, units=target.hashes())
        new = Chain(deployment.folder).draft(new, files, target.like())
        begin_change(deployment, target, "rollback", current, new)
    except OSError as error:
        raise nothing_changed(error) from error
    return new
