"""The target that a deployment names is opened here."""

from __future__ import annotations

from study.deploy.config.deployment import Deployment
from study.deploy.targets.env_file import EnvTarget
from study.deploy.targets.systemd_units import Units
from study.deploy.targets.target import Target


def target_of(deployment: Deployment) -> Target:
    """Return the target of a deployment: the units of systemd, or what reads an env file."""
    if deployment.env_file is None:
        return Units(deployment)
    return EnvTarget(deployment, deployment.env_file)
