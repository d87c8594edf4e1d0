"""This module measures what is left of a confirmation, on one card or on several."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from objectives.devices.device import Identity
from objectives.errors import BadInput
from objectives.evaluation import OnPhase
from objectives.servers.versions import Versions
from study.bench.bench import bench
from study.bench.run_lock import alone
from study.confirmation.journal import JOURNAL_FILE, continued, open_journal, write_journal
from study.confirmation.live.options import ConfirmOptions
from study.confirmation.live.several_cards import SeveralCards
from study.confirmation.pairs.going_on import going_on
from study.confirmation.pairs.merge import merged
from study.confirmation.pairs.runner import Runner
from study.confirmation.publish import block
from study.confirmation.records import Head, PairsJournal
from study.confirmation.subject import Subject
from study.confirmation.verdict.assess import verdict_of
from study.lanes.cards.named import benches, specs_on
from study.lanes.measuring import cards_borrowed
from study.search.expected_time import TimeBudget
from study.spec.setting import setting_of


def measured(
    of: Subject,
    options: ConfirmOptions,
    folder: Path,
    tell: Callable[[str], None],
    on_phase: OnPhase,
) -> PairsJournal:
    """Return the journal with what could be measured of what is left; or several as one.

    Args:
        of: What is confirmed.
        options: What the command line adds.
        folder: The folder of the confirmation.
        tell: Called with each line for the user.
        on_phase: Called as each phase of a launch begins here.

    Raises:
        BadInput: The promotion was found elsewhere, or the journal was begun for something else.
        SetupError: This machine cannot measure, or pairs are disturbed again and again.
    """
    began_s = time.monotonic()
    specs = specs_on(options.devices, of.spec, tell)
    with alone(folder) as reaped:
        for line in reaped:
            tell(line)
        own = bench(setting_of(of.spec), specs[0])
        device = own.device.identity
        _refuse_another(of, device, own.versions)
        if options.take:
            servers = of.servers(own.setting, own.device.server_env, own.versions)
            head = replace(head_of(of, servers, device), driver=None)  # nothing is launched by it
            return _taken(of, head, folder, options.take)
        timeout_s, lent_at = options.timeout_s, time.monotonic()
        machines = benches(own, specs)
        with cards_borrowed(of.spec.baseline, machines, options.lending, tell) as lent:
            if options.lending.max_outage_s is not None:
                began_s = lent_at
                timeout_s = min(timeout_s or math.inf, options.lending.left_s(lent_at))
            first, budget_s = lent[0], math.inf if timeout_s is None else timeout_s
            servers = of.servers(first.setting, first.device.server_env, first.versions)
            head = head_of(of, servers, device)
            journal = open_journal(folder, head, fresh=options.fresh, before=of.confirmations)
            write_journal(journal, folder)  # the claim is on disk before the first launch
            for line in going_on(journal, [m.identity for m in lent], folder):
                tell(line)
            runner = Runner(
                of,
                first,
                folder,
                journal,
                tell,
                options.pairs,
                options.part,
                TimeBudget(budget_s, tell, began_s),
                options.steps,
                on_phase,
            )
            return runner.run() if len(lent) == 1 else SeveralCards(runner, lent).run()


def _taken(of: Subject, head: Head, folder: Path, take: tuple[Path, ...]) -> PairsJournal:
    """Return the journals of several cards as one, which is written; nothing is launched.

    Raises:
        BadInput: One cannot be read, or was begun for something else.
    """
    own = folder / JOURNAL_FILE
    files = dict.fromkeys(path.absolute() for path in (*([own] if own.exists() else []), *take))
    own = own.absolute()
    journal = merged({str(path): continued(path, head, is_taken=path != own) for path in files})
    block(of, journal, verdict_of(journal, of), str(own))  # what cannot be judged is not written
    write_journal(journal, folder)
    return journal


def head_of(of: Subject, servers: Mapping[str, str], device: Identity) -> Head:
    """Return what is fixed before the first launch."""
    return Head(
        promotion=of.digest,
        claim="works" if of.rule.is_alone else of.rule.claim.value,
        limits=dict(of.rule.limits),
        aa_pairs=of.aa_pairs,
        workloads=of.workloads,
        servers=servers,
        product=device.product,
        total_mib=round(device.total_mib),
        driver=device.driver,
    )


def _refuse_another(of: Subject, device: Identity, versions: Versions) -> None:
    """Refuse another device than the study's, or other servers: they are another question.

    Raises:
        BadInput: One of them differs.
    """
    then: Mapping[str, Any] = of.data.get("device") or {}
    total = then.get("total_mib")
    if not device.is_like(then.get("product"), total):
        raise BadInput(
            f"{of.path} was found on {then.get('product')} with {total} MiB, "
            f"this is {device.product} with {device.total_mib:.0f} MiB; go on on a card like that "
            "one, or run the study here first"
        )
    if of.data.get("versions") != versions:
        raise BadInput(
            f"{of.path} was found with other versions of the servers; "
            "run the study again with these"
        )
