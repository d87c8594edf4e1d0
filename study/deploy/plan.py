"""The plan says what an apply would change, restart and watch; it changes nothing."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from objectives.errors import BadInput
from objectives.plain_data.masked import masked, masked_lines
from study.deploy.admission import Admitted, check_newer
from study.deploy.config.deployment import Deployment
from study.deploy.config.values import Values
from study.deploy.state.version import Version
from study.deploy.state.versions import Chain
from study.deploy.targets.env_file import ENV_COPY
from study.deploy.targets.target import Target


def plan_lines(
    deployment: Deployment, target: Target, admitted: Admitted, *, older: bool = False
) -> Iterator[str]:
    """Yield the lines of the plan.

    Args:
        older: It may be older than the version in force.

    Raises:
        BadInput: This could not be applied.
    """
    target.check()
    check_times(deployment)
    current = Chain(deployment.folder).current()
    number = "none yet; the units as they are" if current is None else str(current.number)
    yield f"promotion {admitted.path} (status {admitted.status}), version in force: {number}"
    yield f"sha256 {admitted.sha256}; `apply --sha256` with it applies this content and no other"
    if current is not None and current.promotion_sha256 == admitted.sha256:
        yield "it is in force already: apply would only look whether production answers"
        return
    check_newer(admitted, current, older=older)
    for a in admitted.assigned:
        values = target.running(a)
        now = (
            "cannot be seen"
            if values is None
            else ", ".join(sorted({"(not set)" if v is None else v for v in values}))
        )
        yield f"  {a.service}: {a.binding.label} {now} -> {a.text}"
    files = target.files(next_values(deployment, current, admitted))
    try:
        texts = target.current_text(files)
    except PermissionError as error:  # it may hold keys
        texts = {}
        yield f"note: only root may read {error.filename}; the difference needs sudo"
    for name, old in texts.items():
        where = f"{name} ({target.kind})"
        own = {str(a.binding.variable) for a in admitted.assigned}
        before, after = (_shown(text, name, own) for text in (old, files[name]))
        yield from difflib.unified_diff(
            before.splitlines(), after.splitlines(), f"{where} now", where, lineterm=""
        )
    units = [s.unit or name for name, s in deployment.ordered()]
    yield f"would be stopped: {', '.join(reversed(units))}"
    yield f"would be started, each ready before the next: {', '.join(units)}"
    yield from (
        f"note: {line}" for line in (*changed(target, current), *target.warnings(), *admitted.notes)
    )
    limits = deployment.thresholds
    watched_s = limits.windows * limits.window_s
    yield (
        f"then watched for {watched_s:g} s; "
        f"rolled back by a timer after {deployment.dead_man_s:g} s whatever happens"
    )


def _shown(text: str, name: str, own: set[str]) -> str:
    """Return a file's text without secrets; of an env file only our own values and numbers stay."""
    text = text.encode("utf-8", "replace").decode()  # an env file may be in another encoding
    return masked_lines(text, own) if name == ENV_COPY else masked(text)


def changed(target: Target, current: Version | None) -> list[str]:
    """Return a sentence for each unit that changed since the version in force was made from it."""
    if current is None:
        return []
    now = target.hashes()
    return [
        f"{name} changed since version {current.number} was made from it"
        + (
            ""
            if current.is_own
            else ", which hides that change; the next apply is made from it as it is now"
        )
        for name, sha256 in current.units.items()
        if now.get(name) != sha256
    ]


def check_times(deployment: Deployment) -> None:
    """Check that the dead-man timer leaves a change that goes well enough time.

    Raises:
        BadInput: It does not.
    """
    limits = deployment.thresholds
    needed = limits.windows * limits.window_s + deployment.restart_s
    if deployment.dead_man_s < needed:
        raise BadInput(
            f"{deployment.path}: dead_man_s is {deployment.dead_man_s:g}, but stopping, starting "
            f"and watching may take {needed:g} s; write `dead_man_s: {needed:.0f}` or more"
        )


def next_values(deployment: Deployment, current: Version | None, admitted: Admitted) -> Values:
    """Return what the promotion sets, over what earlier ones set and this one leaves alone."""
    earlier: Values = {} if current is None or current.is_own else current.values
    values = {name: dict(earlier.get(name, {})) for name in deployment.services}
    for a in admitted.assigned:
        values[a.service][a.parameter] = a.text
    return values
