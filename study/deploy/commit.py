"""A commit keeps what `apply --hold` left on trial."""

from __future__ import annotations

from objectives.errors import BadInput
from study.deploy.change import Say, print_line, put_in_force
from study.deploy.config.deployment import Deployment
from study.deploy.config.values import assigned
from study.deploy.errors import RolledBack, cause_of, why_of
from study.deploy.health.gates import check_gates, try_gates
from study.deploy.recover import needs_root, recover, settled
from study.deploy.state import dead_man_timer, pending
from study.deploy.state.process_id import boot_id
from study.deploy.state.versions import Chain
from study.deploy.targets.open_target import target_of


def commit(deployment: Deployment, say: Say = print_line) -> None:
    """Commit what `apply --hold` left on trial.

    Raises:
        BadInput: Nothing is on trial.
        RolledBack: The version on trial has failed since.
    """
    needs_root(deployment)
    target, chain = target_of(deployment), Chain(deployment.folder)
    nothing = (
        "nothing is on trial; `promote.py status` shows what runs, `apply --hold` puts one on trial"
    )
    if not deployment.folder.exists():
        raise BadInput(nothing)
    with pending.locked(deployment.folder):
        change = pending.read(deployment.folder)
        if change is None or not change.held or change.boot != boot_id():
            recover(deployment, say)
            raise BadInput(nothing)
        dead_man_timer.check_same(deployment)
        new = chain.read(change.target)
        try:
            check_gates(try_gates(target, deployment, assigned(new.values, deployment)))
            say("step: commit")
            put_in_force(deployment, target, new)
        except BaseException as error:
            why = why_of(cause := cause_of(error))
            result = settled(deployment, why, say)
            if result.version.number != new.number:
                raise RolledBack(
                    f"rolled back to version {result.version.number}: {why}; {result.summary}"
                ) from cause
            say(result.summary)
            return
        say(f"committed: {settled(deployment, 'committed by hand', say, is_sure=True).summary}")
