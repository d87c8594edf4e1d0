"""Each verb of scripts/promote.py is one call."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from objectives.errors import BadInput
from study.deploy.admission import Admitted, admit, check_digest, check_source, device_of
from study.deploy.apply import apply
from study.deploy.commit import commit
from study.deploy.config.deployment import Deployment
from study.deploy.plan import check_times, plan_lines
from study.deploy.rollback import rollback
from study.deploy.status import history_lines, status_lines
from study.deploy.targets.kubernetes import patch_lines
from study.deploy.targets.open_target import target_of
from study.deploy.watch.unit import install_unit, unit_text
from study.deploy.watch.watch import watch


def _plan(deployment: Deployment, admitted: Admitted, *, older: bool) -> Iterator[str]:
    if deployment.kubernetes is not None:
        return patch_lines(deployment, admitted.assigned)
    return plan_lines(deployment, target_of(deployment), admitted, older=older)


def _check_verb(deployment: Deployment, verb: str) -> None:
    """Refuse what would talk to Kubernetes.

    Raises:
        BadInput: It would.
    """
    if deployment.kubernetes is not None and verb != "plan":
        raise BadInput(
            f"{verb}: nothing here talks to Kubernetes; `promote.py plan PROMOTION` prints the "
            "patch that you apply by hand, and the one that takes it back"
        )


def run_verb(
    deployment: Deployment,
    verb: str,
    *,
    promotion: Path = Path(),
    i_know: bool = False,
    sha256: str | None = None,
    older: bool = False,
    hold: bool = False,
    to: int | None = None,
    once: bool = False,
    print_unit: bool = False,
    install: bool = False,
) -> None:
    """Run one verb, and raise what `exiting` turns into an exit code."""
    _check_verb(deployment, verb)
    match verb:
        case "plan":
            check_source(promotion, deployment)
            admitted = admit(promotion, deployment, device_of(deployment), i_know=i_know)
            for line in _plan(deployment, admitted, older=older):
                print(line)
        case "apply":
            check_times(deployment)
            check_source(promotion, deployment)
            admitted = admit(promotion, deployment, device_of(deployment), i_know=i_know)
            check_digest(admitted, sha256)
            apply(deployment, admitted, hold=hold, older=older)
        case "commit":
            commit(deployment)
        case "rollback":
            rollback(deployment, to)
        case "status":
            for line in status_lines(deployment, target_of(deployment)):
                print(line, flush=True)
        case "history":
            for line in history_lines(deployment):
                print(line)
        case _ if install:
            print(install_unit(deployment))
        case _ if print_unit:
            print(unit_text(deployment), end="")
        case _:
            watch(deployment, once=once)
