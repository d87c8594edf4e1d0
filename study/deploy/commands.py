"""The verbs of scripts/promote.py, each one call."""

from __future__ import annotations

import signal
from pathlib import Path

from study.deploy.admission import admit, opened
from study.deploy.apply import apply, commit
from study.deploy.config.deployment import Deployment
from study.deploy.plan import check_times, plan
from study.deploy.reconcile import target_of
from study.deploy.rollback import rollback
from study.deploy.status import history, status
from study.deploy.watch import installed, unit_text, watch


def run(
    deployment: Deployment,
    verb: str,
    *,
    promotion: Path = Path(),
    i_know: bool = False,
    hold: bool = False,
    to: int | None = None,
    once: bool = False,
    print_unit: bool = False,
    install: bool = False,
) -> None:
    """One verb; raises what `exiting` turns into an exit code."""
    match verb:
        case "plan":
            admitted = admit(promotion, deployment, opened(deployment), i_know=i_know)
            for line in plan(deployment, target_of(deployment), admitted):
                print(line)
        case "apply":
            signal.signal(
                signal.SIGHUP, signal.getsignal(signal.SIGTERM)
            )  # a lost connection is an interruption
            check_times(deployment)
            apply(
                deployment,
                admit(promotion, deployment, opened(deployment), i_know=i_know),
                hold=hold,
            )
        case "commit":
            commit(deployment)
        case "rollback":
            rollback(deployment, to)
        case "status":
            for line in status(deployment, target_of(deployment)):
                print(line, flush=True)
        case "history":
            for line in history(deployment):
                print(line)
        case _ if install:
            print(installed(deployment))
        case _ if print_unit:
            print(unit_text(deployment), end="")
        case _:
            watch(deployment, once=once)
