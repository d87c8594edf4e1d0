"""A cluster is joined by taking its cards, a set for a lane; they are given back at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from objectives import waiting
from objectives.engines.places import HOST
from objectives.errors import BadInput, SetupError
from objectives.setting import Setting
from study.bench.bench import Bench
from study.lanes.card_names import short_name
from study.lanes.cards.cores import split
from study.lanes.cards.sets import gpus_of, refuse_unlike
from study.lanes.cluster.address import answering, refuse_odd
from study.lanes.cluster.host import PACKAGE, ClusterHost, HostReport
from study.lanes.cluster.places import free_places, waited
from study.lanes.cluster.ray_here import WAY_OUT, ray, refuse_without_token
from study.lanes.cluster.seat import OverRay, RemoteCard, Seat
from study.spec.model import Spec

REPORT_S = 120.0  # hosts have reported on their machines within it


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster is the cards that were taken in it, all of one product.

    Args:
        machines: A bench for each lane.
        cores: The cores of each lane.
        names: The name of each lane's machine.
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
    if HOST in spec.devices:
        raise BadInput(
            f"--cluster gives each trial GPUs, and {spec.path.name} has a device `cpu`, the "
            "machine's own memory; run it on one machine, without --cluster"
        )
    if spec.device != "cuda" and not spec.devices:
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
    say: Callable[[str], None],
    kind: type[ClusterHost] = ClusterHost,
) -> Iterator[Cluster]:
    """Hold the free GPUs of a cluster while the block lasts.

    Args:
        address: `auto`, or host and port of its head.
        lanes: The most lanes; None takes all GPUs that are free.
        spec: The spec.
        setting: What is measured, with models as the spec names them.
        say: It is given a line for each machine that has GPUs which make no set.
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
        count = max(1, len(gpus_of(spec.devices)))
        places = free_places(lanes, count, say)
        seats = [Seat(place, count, kind, (spec, setting, Path.cwd())) for place in places]
        reports = _look(seats)
        _refuse_unlike(reports)
        yield _cluster(seats, reports)
    finally:
        cluster.shutdown()  # its actors and placement groups end with it


def _look(seats: Sequence[Seat]) -> list[HostReport]:
    """Return what the hosts report.

    Raises:
        SetupError: One cannot measure, or does not answer.
    """
    _, open_ = waited([seat.request for seat in seats], REPORT_S)
    if open_:
        raise SetupError(
            f"{len(open_)} of {len(seats)} machines did not answer within {REPORT_S:g} s; "
            "run the same command again, or with fewer --lanes"
        )
    reports = []
    for seat in seats:
        try:
            answer: HostReport | str = ray().get(seat.request)
        except ray().exceptions.RayError as error:
            why = str(getattr(error, "cause", None) or error).strip().splitlines()[-1]
            raise SetupError(
                f"a machine of the cluster cannot run a lane ({why}); install the same version of "
                "this program there, in the same place"
            ) from error
        if isinstance(answer, str):
            raise SetupError(answer)
        seat.request, seat.report = None, answer
        reports.append(answer)
    return reports


def _refuse_unlike(reports: Sequence[HostReport]) -> None:
    """Refuse machines whose measurements cannot be compared, or that ask for no token.

    Raises:
        SetupError: There is one.
    """
    first = reports[0]
    for one in reports:
        where = f"{one.machine} ({short_name(one.uuid)})"
        if not one.is_guarded:
            raise SetupError(f"{one.machine}: Ray asks for no token there; {WAY_OUT}")
        if one.package != version(PACKAGE):
            raise SetupError(
                f"{where} has {PACKAGE} {one.package}, and this machine {version(PACKAGE)}; "
                "install the same"
            )
        for there, here in zip(one.cards.values(), first.cards.values(), strict=True):
            own, card = there.identity, here.identity
            refuse_unlike(own, card, where, f"{first.machine} has", "let a cluster have one")
            if (own.driver, one.versions) != (card.driver, first.versions):
                raise SetupError(
                    f"{where} has another driver or other versions of the servers than "
                    f"{first.machine}; install the same: {own.driver} {one.versions}, "
                    f"{card.driver} {first.versions}"
                )
        if one.setting != first.setting:
            raise SetupError(
                f"{where} has the models elsewhere than {first.machine}; let them lie at the "
                "same paths on all machines"
            )


def _cluster(seats: Sequence[Seat], reports: Sequence[HostReport]) -> Cluster:
    """Return the cards, with the cores of each machine shared out among its lanes.

    Raises:
        SetupError: A machine has fewer cores than lanes.
    """
    cores: dict[str, list[tuple[int, ...]]] = {}
    for name in {one.machine for one in reports}:
        mine = [one for one in reports if one.machine == name]
        _, parts = split(mine[0].cores, mine[0].nodes, [one.near for one in mine])
        cores[name] = list(parts)
    return Cluster(
        [
            Bench(
                {name: RemoteCard(card) for name, card in one.cards.items()},
                reports[0].setting,
                one.versions,
                next(iter(one.cards.values())).occupants,
                one.notes,
            )
            for one in reports
        ],
        [cores[one.machine].pop(0) for one in reports],
        [one.machine for one in reports],
        OverRay({one.uuid: seat for seat, one in zip(seats, reports, strict=True)}),
    )
