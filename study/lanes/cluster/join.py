"""Join a cluster: take its cards, each for a lane, and give them back at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from objectives import waiting
from objectives.devices.device_set import device_set
from objectives.errors import BadInput, SetupError
from objectives.setting import Setting
from study.bench.bench import Bench
from study.lanes.cluster.address import answering, refuse_odd
from study.lanes.cluster.host import PACKAGE, Found, Host
from study.lanes.cluster.ray_here import WAY_OUT, ray, refuse_without_token
from study.lanes.cluster.seat import OverRay, RemoteCard, Seat
from study.lanes.cores import split
from study.lanes.lane import short_name
from study.spec.model import Spec

FREE_S = 30.0  # cards that Ray counts as free are given within it
FOUND_S = 120.0  # hosts have looked at their machines within it


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster is the cards that were taken in it, all of one product.

    Args:
        machines: A bench for each card.
        cores: The cores of each card's lane.
        names: The name of each card's machine.
        transport: It starts the lanes.
    """

    machines: Sequence[Bench]
    cores: Sequence[tuple[int, ...]]
    names: Sequence[str]
    transport: OverRay


def refuse_unfit(address: str, lanes: int | None, spec: Spec) -> None:
    """Refuse what no cluster can measure.

    Raises:
        BadInput: The address or the spec does not fit.
    """
    refuse_odd(address)
    if lanes is not None and lanes < 1:
        raise BadInput("--lanes must be at least 1")
    if spec.devices:
        raise BadInput(
            f"--cluster gives each trial one GPU, and {spec.path.name} needs all its `devices:` "
            "for one trial; run it on a machine that has them, without --cluster"
        )
    if spec.device != "cuda":
        raise BadInput(
            f"--cluster takes the GPUs that Ray gives, and the spec says `device: {spec.device}`; "
            "write `device: cuda`"
        )


@contextmanager
def joined(
    address: str,
    lanes: int | None,
    spec: Spec,
    setting: Setting,
    kind: type[Host] = Host,
) -> Iterator[Cluster]:
    """Hold the free GPUs of a cluster while the block lasts.

    Args:
        address: `auto`, or host and port of its head.
        lanes: The most GPUs to take; None takes all that are free.
        spec: The spec.
        setting: What is measured, with models as the spec names them.
        kind: The class of the hosts.

    Raises:
        SetupError: There is no such cluster, no card, or cards that cannot be compared.
    """
    refuse_without_token()
    head = answering(address)
    cluster = ray()
    try:
        cluster.init(address=head, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, cluster.exceptions.RayError) as error:
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SetupError(
            f"no Ray cluster at {head} ({why}); `ray status` on this machine says more"
        ) from error
    finally:
        waiting.listen()  # Ray answers signals in its own way
    try:
        seats = [Seat(place, kind, (spec, setting, Path.cwd())) for place in _places(lanes)]
        found = _look(seats)
        _refuse_unlike(found)
        yield _cluster(seats, found)
    finally:
        cluster.shutdown()  # its actors and placement groups end with it


def _places(lanes: int | None) -> list[Any]:
    """Return a placement group for each GPU that is free.

    Raises:
        SetupError: There is none.
    """
    groups, cluster = import_module("ray.util.placement_group"), ray()
    free = int(cluster.available_resources().get("GPU", 0))
    wanted = min(free, lanes or free)
    asked = [groups.placement_group([{"GPU": 1}], strategy="STRICT_PACK") for _ in range(wanted)]
    ready = {group.ready(): group for group in asked}
    had, _ = _waited(list(ready), FREE_S)
    for reference in ready.keys() - set(had):
        groups.remove_placement_group(ready[reference])
    if not had:
        total = int(cluster.cluster_resources().get("GPU", 0))
        raise SetupError(
            f"the cluster has no free GPU ({total} in all, of {len(cluster.nodes())} machines); "
            "end what holds them, or start more machines: `ray status` shows them"
        )
    return [group for reference, group in ready.items() if reference in had]


def _look(seats: Sequence[Seat]) -> list[Found]:
    """Return what the hosts found.

    Raises:
        SetupError: One cannot measure, or does not answer.
    """
    _, open_ = _waited([seat.asked for seat in seats], FOUND_S)
    if open_:
        raise SetupError(
            f"{len(open_)} of {len(seats)} machines did not answer within {FOUND_S:g} s; "
            "run the same command again, or with fewer --lanes"
        )
    found = []
    for seat in seats:
        try:
            answer: Found | str = ray().get(seat.asked)
        except ray().exceptions.RayError as error:
            why = str(getattr(error, "cause", None) or error).strip().splitlines()[-1]
            raise SetupError(
                f"a machine of the cluster cannot run a lane ({why}); install the same version of "
                "this program there, in the same place"
            ) from error
        if isinstance(answer, str):
            raise SetupError(answer)
        seat.asked, seat.found = None, answer
        found.append(answer)
    return found


def _waited(references: Sequence[Any], limit_s: float) -> tuple[list[Any], list[Any]]:
    """Wait for answers; return those that have come, and those that have not.

    Raises:
        KeyboardInterrupt: As `objectives.waiting`.
    """
    until_s, open_ = time.monotonic() + limit_s, list(references)
    while open_ and time.monotonic() < until_s:
        waiting.check()
        _, open_ = ray().wait(open_, num_returns=len(open_), timeout=waiting.LOOK_S)
    return [r for r in references if r not in open_], open_


def _refuse_unlike(found: Sequence[Found]) -> None:
    """Refuse machines whose measurements cannot be compared, or that ask for no token.

    Raises:
        SetupError: There is one.
    """
    first, card = found[0], found[0].identity
    for one in found:
        where = f"{one.machine} ({short_name(one.identity.uuid)})"
        if not one.is_guarded:
            raise SetupError(f"{one.machine}: Ray asks for no token there; {WAY_OUT}")
        if one.package != version(PACKAGE):
            raise SetupError(
                f"{where} has {PACKAGE} {one.package}, and this machine {version(PACKAGE)}; "
                "install the same"
            )
        if not one.identity.is_like(card.product, card.total_mib):
            raise SetupError(
                f"{where} is a {one.identity.product} of {one.identity.total_mib:,.0f} MiB and "
                f"{first.machine} has a {card.product} of {card.total_mib:,.0f}: one study "
                "compares cards of one product; let a cluster have one"
            )
        if (one.identity.driver, one.versions) != (card.driver, first.versions):
            raise SetupError(
                f"{where} has another driver or other versions of the servers than "
                f"{first.machine}; install the same: {one.identity.driver} {one.versions}, "
                f"{card.driver} {first.versions}"
            )
        if one.setting != first.setting:
            raise SetupError(
                f"{where} has the models elsewhere than {first.machine}; let them lie at the "
                "same paths on all machines"
            )


def _cluster(seats: Sequence[Seat], found: Sequence[Found]) -> Cluster:
    """Return the cards, with the cores of each machine shared out among its lanes.

    Raises:
        SetupError: A machine has fewer cores than cards.
    """
    cores: dict[str, list[tuple[int, ...]]] = {}
    for name in {one.machine for one in found}:
        mine = [one for one in found if one.machine == name]
        _, parts = split(mine[0].cores, mine[0].nodes, [one.near for one in mine])
        cores[name] = list(parts)
    return Cluster(
        [
            Bench(device_set(RemoteCard(seat, one)), found[0].setting, one.versions, one.occupants)
            for seat, one in zip(seats, found, strict=True)
        ],
        [cores[one.machine].pop(0) for one in found],
        [one.machine for one in found],
        OverRay({one.identity.uuid: seat for seat, one in zip(seats, found, strict=True)}),
    )
