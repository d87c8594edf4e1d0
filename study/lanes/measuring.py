"""This module measures in lanes, as `study.bench.source.measuring` measures here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

from objectives.allocation import Allocation
from objectives.capacity.ramp_range import RampRange
from objectives.errors import InUse
from objectives.measurement import Measurement
from study.bench.bench import Bench
from study.bench.loan import all_borrowed
from study.lanes.cards.cores import in_words
from study.lanes.cards.named import cores_apart
from study.lanes.cluster.join import Cluster
from study.lanes.lanes import Lanes
from study.lanes.lock import lane_lock
from study.lanes.losses import Patience
from study.lanes.process.lane_process import Here
from study.service_pause.options import Lending


@contextmanager
def cards_borrowed(
    baseline: Allocation,
    machines: Sequence[Bench],
    lending: Lending,
    say: Callable[[str], None],
) -> Iterator[list[Bench]]:
    """Hold the cards of all benches, once the lanes of a driver that was killed have ended.

    Raises:
        SetupError: As `study.bench.loan.borrowed`.
    """
    for machine in machines:
        with lane_lock(machine.identity.uuid):
            pass
    with ExitStack() as stack:
        try:
            lent = stack.enter_context(all_borrowed(baseline, machines, lending, say))
        except InUse as error:
            way_out = ", or name others with --devices" if len(machines) > 1 else ""
            raise InUse(f"{error}{way_out}") from error
        yield lent


@contextmanager
def lanes_on(
    machines: Sequence[Bench],
    folder: Path,
    ramp_range: RampRange | None,
    measurements: Sequence[tuple[Allocation, Measurement]],
    say: Callable[[str], None],
    cluster: Cluster | None = None,
    patience: Patience = Patience(),  # noqa: B008  frozen
) -> Iterator[Lanes]:
    """Yield a lane on each card or set of cards, which all end with the block.

    Args:
        machines: A bench for each lane, all of one setting.
        folder: It gets a folder for each lane.
        ramp_range: The range of ramps; None lets the first measurement find it.
        measurements: What was measured before, for the memory arithmetic.
        say: It is given a line each.
        cluster: Where the cards are; None is this machine.
        patience: When a lane is lost.

    Raises:
        SetupError: There are fewer cores than lanes.
    """
    apart = cores_apart(machines) if cluster is None else nullcontext(cluster.cores)
    with apart as cores:
        for number, (machine, own) in enumerate(zip(machines, cores, strict=True)):
            where = f" on {cluster.names[number]}" if cluster else ""
            say(f"lane: {machine.identity.uuid}{where}, {in_words(own)}")
        with Lanes(
            [machine.devices for machine in machines],
            machines[0].setting,
            folder,
            measurements=measurements,
            ramp_range=ramp_range,
            cores=cores,
            say=say,
            patience=patience,
            transport=cluster.transport if cluster else Here(),
        ) as lanes:
            yield lanes
