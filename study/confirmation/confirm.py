"""`confirm` takes a promotion to its verdict: it measures what is left, judges and writes it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from objectives.devices.device import Identity
from objectives.errors import BadInput
from objectives.evaluation import OnPhase
from objectives.recording import read
from objectives.servers.versions import Versions
from study.bench.bench import bench, borrowed
from study.bench.run_lock import alone
from study.confirmation.journal import JOURNAL_FILE, continued, open_journal, write_journal
from study.confirmation.pairs.going_on import going_on
from study.confirmation.pairs.merge import merged
from study.confirmation.pairs.part import WHOLE, Part
from study.confirmation.pairs.recorded import from_recording
from study.confirmation.pairs.runner import Runner
from study.confirmation.publish import block, pairs_to_come, publish
from study.confirmation.records import Head, PairsJournal
from study.confirmation.subject import Subject
from study.confirmation.verdict import wording
from study.confirmation.verdict.assess import counted_pairs, verdict_of
from study.confirmation.verdict.facts import today_in_words
from study.confirmation.verdict.held import holds_in_words
from study.promotion.status import Status
from study.rule import verdict as rule_verdict
from study.rule.held import needs_holds
from study.rule.rule import LOOKS
from study.rule.verdict import RuleVerdict
from study.service_pause.options import Lending
from study.spec.setting import setting_of

INCONCLUSIVE = 5
REJECTED = 4
EXIT = {Status.CONFIRMED: 0, Status.REJECTED: REJECTED, Status.INCONCLUSIVE: INCONCLUSIVE}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmOptions:
    """The options are what the command line adds.

    Args:
        pairs: How many pairs of baseline and winner to measure at most: those of a look.
        timeout_s: Nothing is begun that would not end within it, s; None for no limit.
        out: The folder of all studies' files.
        fresh: Put the pairs that are there aside and begin anew, which the confirmation says.
        lending: The units that lend their GPU meanwhile.
        part: Which pairs are this card's, where several measure at once.
        take: The journals of those cards, to be merged and judged.
        steps: How many pairs, or what comes beside them, to measure in this run; None: no limit.
    """

    pairs: int = LOOKS[-1]
    timeout_s: float | None = None
    out: Path = Path("artifacts")
    fresh: bool = False
    lending: Lending = field(default_factory=Lending)
    part: Part = WHOLE
    take: tuple[Path, ...] = ()
    steps: int | None = None


def confirm(
    of: Subject,
    options: ConfirmOptions,
    tell: Callable[[str], None],
    on_phase: OnPhase = lambda _: None,
) -> int:
    """Measure, judge and write; return the exit code: 0 confirmed, 4 rejected, 5 inconclusive.

    A KeyboardInterrupt leaves every server stopped and every whole pair on disk.

    Args:
        of: What is confirmed.
        options: What the command line adds.
        tell: Called with each line for the user.
        on_phase: Called as each phase of a launch begins.

    Raises:
        BadInput: The promotion was found elsewhere, or the journal was begun for something else.
        SetupError: Pairs are disturbed again and again, or this machine lacks what they need.
    """
    folder = options.out / of.spec.name / "confirmations" / of.path.stem
    when = wording.FIXED_BEFORE if of.spec.measure == "live" else "asked of launches made before"
    tell(f"{when}: {wording.rule_in_words(of.rule)}")
    beside = (
        f"in use today, and did not work: {of.today}" if of.today else f"baseline {of.baseline}"
    )
    tell(f"{'nothing in use' if of.rule.is_alone and not of.today else beside}; winner {of.winner}")
    if isinstance(of.spec.measure, Path):
        if options.part != WHOLE or options.take:
            raise BadInput("--part and --take are for cards that measure; leave both out")
        pairs, file = _recorded(of, options, tell), of.spec.measure
    else:
        pairs, file = _live(of, options, folder, tell, on_phase), folder / JOURNAL_FILE
        if options.part != WHOLE:
            tell(
                f"{len(pairs.of('ab'))} pairs of this card's part are in {file}; when all are "
                f"done: python scripts/confirm.py {of.path} --take FILE, once for each"
            )
            return INCONCLUSIVE
    verdict = publish(of, pairs, str(file), options.pairs)
    for line in _summary(of, pairs, verdict, options.pairs):
        tell(line)
    return EXIT[Status(verdict.status.value)]


def _live(
    of: Subject,
    options: ConfirmOptions,
    folder: Path,
    tell: Callable[[str], None],
    on_phase: OnPhase,
) -> PairsJournal:
    began_s = time.monotonic()
    with alone(folder) as reaped:
        for line in reaped:
            tell(line)
        own = bench(setting_of(of.spec), of.spec)
        device = own.device.identity
        _refuse_another(of, device, own.versions)
        if options.take:
            servers = of.servers(own.setting, own.device.server_env, own.versions)
            head = replace(_head(of, servers, device), driver=None)  # nothing is launched by it
            return _taken(of, head, folder, options.take)
        timeout_s, lent_at = options.timeout_s, time.monotonic()
        with borrowed(of.spec.baseline, own, options.lending, tell) as lent:
            if options.lending.max_outage_s is not None:
                began_s = lent_at
                timeout_s = min(timeout_s or math.inf, options.lending.left_s(lent_at))
            servers = of.servers(lent.setting, lent.device.server_env, lent.versions)
            head = _head(of, servers, device)
            journal = open_journal(folder, head, fresh=options.fresh, before=of.confirmations)
            write_journal(journal, folder)  # the claim is on disk before the first launch
            for line in going_on(journal, device, folder):
                tell(line)
            return Runner(
                of,
                lent,
                folder,
                journal,
                tell,
                options.pairs,
                options.part,
                timeout_s,
                began_s,
                options.steps,
                on_phase,
            ).run()


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


def _recorded(of: Subject, options: ConfirmOptions, tell: Callable[[str], None]) -> PairsJournal:
    recording = read(Path(of.spec.measure))
    tell(
        f"from a recording, {recording.sentence()}: "
        "it says nothing of this machine and never applies"
    )
    p = recording.provenance
    head = _head(of, of.servers(setting_of(of.spec), {}, p.versions), p.device)
    return from_recording(of, recording, head, options.pairs)


def _head(of: Subject, servers: Mapping[str, str], device: Identity) -> Head:
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


def _summary(of: Subject, journal: PairsJournal, verdict: RuleVerdict, most: int) -> list[str]:
    """Return the answer in lines for a person."""
    rule, counted = of.rule, counted_pairs(journal, verdict)
    pairs, cards = len(counted), len({p.card for p in counted})
    is_open = verdict.status is rule_verdict.Status.INCONCLUSIVE
    s = journal.stress
    free = None if s is None else s.free_memory_mib
    more = pairs_to_come(of, verdict, pairs, most)
    is_replay = of.spec.measure != "live"
    outcome = wording.status_in_words(verdict.status, pairs, more, is_replay=is_replay, cards=cards)
    where = "" if of.spec.measure == "live" else " (from a recording: never applicable)"
    today = today_in_words(journal, of)
    return [
        *([] if today is None else [today]),
        *([] if free is None else [f"least free memory under stress: {free:,.0f} MiB"]),
        *(f"{'open: ' * is_open}{reason}" for reason in wording.reasons(verdict, rule)),
        *(f"gets worse: {wording.worse_in_words(w)}" for w in verdict.worse),
        wording.claims_in_words(verdict, rule, pairs),
        *_held(of, journal, verdict),
        f"{outcome}{where}: {of.path}",
    ]


def _held(of: Subject, journal: PairsJournal, verdict: RuleVerdict) -> list[str]:
    """Say what was held at a constant rate, where a capacity is to be proven."""
    if (says := holds_in_words(journal)) is not None:
        return [says]
    is_open = of.spec.measure != "live" and needs_holds(verdict)
    return ["held at a constant rate: not measured, a recording has no holds"] if is_open else []
