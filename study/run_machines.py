"""This module chooses what a run measures on, and holds it: a machine, its cards, a cluster's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from study.bench.source import Source, find_source, say_notes, source_on
from study.lanes.cards.named import benches, specs_on
from study.lanes.cluster.join import joined
from study.lanes.measuring import cards_borrowed
from study.run_plan import Run
from study.spec.memory.on_device import on_device
from study.spec.setting import setting_of


def choose_source(plan: Run) -> Source:
    """Return this machine's bench, the recording of the spec, or a device that is named."""
    options = plan.options
    if options.is_elsewhere:
        from study.bench.elsewhere import planned_elsewhere  # noqa: PLC0415  for dry runs

        return planned_elsewhere(plan.spec, options.card, options.total_mib, plan.terminal.line)
    if plan.cluster is not None:
        say_notes(plan.spec, plan.terminal.line)
        return source_on(plan.cluster.machines[0], plan.terminal.line, is_here=False)
    return find_source(plan.spec, plan.sampler, plan.terminal.line, plan.terminal.heading)


def in_lanes(plan: Run) -> Run:
    """Return the run on the cards that the command line names, the first as its own devices."""
    specs = specs_on(plan.options.devices, plan.spec, plan.terminal.line)
    return replace(plan, spec=specs[0], lanes=tuple(specs) if len(specs) > 1 else ())


@contextmanager
def in_cluster(plan: Run) -> Iterator[Run]:
    """Hold the cards of the cluster that the command line names while the block lasts."""
    options, spec = plan.options, plan.spec
    if options.cluster is None:
        yield plan
        return
    lanes = 1 if options.dry_run else options.lanes
    say = plan.terminal.line
    with joined(options.cluster, lanes, spec, setting_of(spec), say) as cluster:
        yield replace(plan, cluster=cluster)


def on_card(plan: Run, source: Source) -> Run:
    """Return the run with what its spec says in MiB as shares of this device."""
    device = source.identity
    return replace(plan, spec=on_device(plan.spec, device.total_mib, device.product))


@contextmanager
def use(plan: Run, source: Source) -> Iterator[tuple[Run, Source]]:
    """Hold the device for this run alone while the block lasts.

    Then the units have their GPU back.
    """
    if source.bench is None:
        yield plan, source
        return
    if plan.cluster is not None:  # the hosts of its cards hold their locks
        yield plan, replace(source, lanes=plan.cluster.machines[1:])
        return
    lending, lent_at = plan.options.lending, time.monotonic()
    machines = benches(source.bench, plan.lanes) if plan.lanes else [source.bench]
    with cards_borrowed(plan.spec.baseline, machines, lending, plan.terminal.line) as held:
        timeout_s = min(plan.timeout_s, lending.left_s(lent_at))
        source = replace(source, bench=held[0], lanes=held[1:])
        yield replace(plan, timeout_s=timeout_s), source
