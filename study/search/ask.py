"""Trials are queued, asked for and marked as begun here, before they are measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

import optuna
from optuna.trial import TrialState

from objectives.allocation import Allocation
from objectives.devices.device import Identity
from objectives.measurement import Measurement
from objectives.search_space.space import Space, suggest
from study.search.score import Score, StudyScorer
from study.search.tell import set_attributes
from study.storage.attributes import attribute
from study.storage.backends.writes import together
from study.storage.owner import PROCESS, Owner
from study.storage.trial import BASELINE, BRIDGE, REPLICATE, Begun
from study.storage.trials import counted

CARDS = "cards"  # of a study: the driver of each card that has measured the baseline


class Racer(Protocol):
    """A racer is a trial under way, which says whether the rest of it is worth its time.

    Attributes:
        score: What it was worth at best when it was given up; None where it was not.
    """

    @property
    def score(self) -> Score | None: ...

    def __call__(self, so_far: Measurement) -> bool: ...


class MakeRacer(Protocol):
    """This makes the racer of a trial that begins; some may not be given up."""

    def __call__(
        self,
        trial: optuna.Trial,
        allocation: Allocation,
        scorer: StudyScorer,
        *,
        may_be_given_up: bool,
    ) -> Racer: ...


def queue(study: optuna.Study) -> list[dict[str, Any]]:
    """Return the parameters of the trials that wait."""
    return [w.system_attrs.get("fixed_params", {}) for w in _waiting(study)]


def _waiting(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.WAITING,))


def queue_baseline(study: optuna.Study, space: Space, baseline: Allocation) -> None:
    """Let the baseline come first, unless it waits already."""
    params = space.encode(baseline)
    if params not in queue(study):
        study.enqueue_trial(params, user_attrs={"role": BASELINE})


def launches_left(study: optuna.Study, allocations: Sequence[Allocation]) -> list[Allocation]:
    """Return the launches of these that the study has not measured, in their order."""
    measured = Counter(str(r.allocation) for r in counted(study) if r.repeat_of is None)
    unmeasured = []
    for allocation in allocations:
        measured[str(allocation)] -= 1
        if measured[str(allocation)] < 0:
            unmeasured.append(allocation)
    return unmeasured


def queue_launches(
    study: optuna.Study,
    space: Space,
    baseline: Allocation,
    allocations: Sequence[Allocation],
    count: int,
) -> None:
    """Queue the next launches that are not measured, less what waits already.

    Args:
        allocations: One for each launch, in order.
        count: The most to queue.
    """
    waiting = Counter(str(space.decode(params)) for params in queue(study))
    queued = {str(r.allocation) for r in counted(study)}
    for allocation in launches_left(study, allocations)[:count]:
        key = str(allocation)
        role = REPLICATE if key in queued else BASELINE if key == str(baseline) else None
        queued.add(key)
        waiting[key] -= 1
        if waiting[key] < 0:
            study.enqueue_trial(
                space.encode(allocation), user_attrs={"role": role} if role else None
            )


def bridge(study: optuna.Study, space: Space, baseline: Allocation, device: Identity) -> bool:
    """Say whether the study has moved to a card that has not measured its baseline, or driver.

    Where it has, the baseline is queued once more. Lanes may have measured what is there so far.
    """
    cards, noted = drivers_of(study), attribute(study, CARDS, dict)
    moved = bool(cards) and needs_bridge(study, device)
    if moved:
        queue_again(study, space, baseline, BRIDGE)
    known = {t.launched_on for t in counted(study) if str(t.allocation) == str(baseline)} | {*noted}
    others = {u: driver for u, driver in cards.items() if u in known and u != device.uuid}
    if others != noted:
        study.set_user_attr(CARDS, others)  # it may come back to one of them
    study.set_user_attr("device", {"uuid": device.uuid, "driver": device.driver})
    return moved


def bridge_waits(study: optuna.Study) -> bool:
    """Say whether the baseline waits to be measured on another card."""
    return any(w.user_attrs.get("role") == BRIDGE for w in _waiting(study))


def queue_again(study: optuna.Study, space: Space, allocation: Allocation, role: str) -> None:
    """Let an allocation come once more, for a card that has not measured it."""
    study.enqueue_trial(space.encode(allocation), user_attrs={"role": role})


def needs_bridge(study: optuna.Study, device: Identity) -> bool:
    """Return whether a card has yet to measure the baseline under its driver."""
    return bool(drivers_of(study).get(device.uuid, "") != device.driver)


def note_card(study: optuna.Study, device: Identity) -> None:
    """Note that a card has measured the baseline."""
    if needs_bridge(study, device):
        study.set_user_attr(CARDS, {**drivers_of(study), device.uuid: device.driver})


def drivers_of(study: optuna.Study) -> dict[str, Any]:
    """Return the driver of each card that has measured the baseline, by its UUID."""
    only = attribute(study, "device", dict)  # of a run without lanes
    first = {only.get("uuid", ""): only.get("driver")} if only else {}
    return {**first, **attribute(study, CARDS, dict)}


def card_alone(study: optuna.Study) -> str | None:
    """Return the UUID of the card that a run without lanes measures on; a replay has none."""
    return attribute(study, "device", dict).get("uuid")


def ask_trial(study: optuna.Study, space: Space) -> tuple[optuna.Trial, Allocation]:
    """Ask for one trial with all its parameters stored; return it and its configuration.

    Nobody else sees it before it has its owner, by whom another run tells whether it is at work.
    """

    def ask() -> tuple[optuna.Trial, Allocation]:
        trial = study.ask()
        allocation = suggest(trial, space)
        owner = {PROCESS: Owner.me().to_json()}
        set_attributes(trial, **owner, allocation=dict(allocation.values))
        return trial, allocation

    return together(study, ask)


def with_origin(study: optuna.Study, trial: optuna.Trial, allocation: Allocation) -> Begun:
    """Return a trial with what the sampler or whoever queued it wrote of it.

    The trial itself was read before they wrote.
    """
    attributes = study.get_trials(deepcopy=False)[trial.number].user_attrs
    return Begun(
        trial.number, allocation, attributes.get("generation"), str(attributes.get("role", ""))
    )


def mark_begun(trial: optuna.Trial, **attributes: object) -> None:
    """Mark a trial as started, with more attributes.

    From here on it is interrupted, not unstarted, if its process dies.
    """
    set_attributes(trial, begun=True, **attributes)
