"""`confirm` takes a promotion to its verdict: it measures what is left, judges and writes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from objectives.errors import BadInput
from objectives.evaluation import OnPhase
from objectives.recording import read
from study.confirmation.journal import JOURNAL_FILE
from study.confirmation.live.measured import head_of, measured
from study.confirmation.live.options import ConfirmOptions
from study.confirmation.pairs.part import WHOLE
from study.confirmation.pairs.recorded import from_recording
from study.confirmation.publish import pairs_to_come, publish
from study.confirmation.records import PairsJournal
from study.confirmation.subject import Subject
from study.confirmation.verdict import wording
from study.confirmation.verdict.assess import counted_pairs
from study.confirmation.verdict.facts import today_in_words
from study.confirmation.verdict.held import holds_in_words
from study.promotion.status import Status
from study.rule import verdict as rule_verdict
from study.rule.held import needs_holds
from study.rule.verdict import RuleVerdict
from study.spec.setting import setting_of

INCONCLUSIVE = 5
REJECTED = 4
EXIT = {Status.CONFIRMED: 0, Status.REJECTED: REJECTED, Status.INCONCLUSIVE: INCONCLUSIVE}


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
        if options.part != WHOLE or options.take or options.devices is not None:
            raise BadInput("--part, --take and --devices are for what is measured; leave them out")
        pairs, file = _recorded(of, options, tell), of.spec.measure
    else:
        pairs, file = measured(of, options, folder, tell, on_phase), folder / JOURNAL_FILE
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


def _recorded(of: Subject, options: ConfirmOptions, tell: Callable[[str], None]) -> PairsJournal:
    recording = read(Path(of.spec.measure))
    tell(
        f"from a recording, {recording.sentence()}: "
        "it says nothing of this machine and never applies"
    )
    p = recording.provenance
    head = head_of(of, of.servers(setting_of(of.spec), {}, p.versions), p.device)
    return from_recording(of, recording, head, options.pairs)


def _summary(of: Subject, journal: PairsJournal, verdict: RuleVerdict, most: int) -> list[str]:
    """Return the answer in lines for a person."""
    rule, counted = of.rule, counted_pairs(journal, verdict)
    pairs, cards = len(counted), {p.card for p in counted}
    is_open = verdict.status is rule_verdict.VerdictStatus.INCONCLUSIVE
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
