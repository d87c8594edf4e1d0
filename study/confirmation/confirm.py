"""One confirmation from promotion to verdict: measure what is left of it, live or from its recording, and write it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from objectives.devices.device import Identity
from objectives.errors import BadInput
from objectives.recording import read
from objectives.servers.versions import Versions
from study.bench.bench import bench, borrowed
from study.bench.run_lock import alone
from study.confirmation import gains, journal, wording
from study.confirmation.pairs import Runner
from study.confirmation.publish import publish
from study.confirmation.recorded_pairs import from_recording
from study.confirmation.subject import Subject
from study.confirmation.verdict import Verdict
from study.service_pause.options import Lending
from study.spec.setting import setting_of

INCONCLUSIVE = 5
REJECTED = 4
EXIT = {"confirmed": 0, "rejected": REJECTED, "inconclusive": INCONCLUSIVE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line adds.

    pairs: baseline and winner in turn; timeout_s: nothing is begun that would not end within it
    fresh: put the pairs that are there aside and begin anew, which the confirmation tells
    lending: the units that lend their GPU meanwhile
    """

    pairs: int = 6
    timeout_s: float | None = None
    out: Path = Path("artifacts")
    fresh: bool = False
    lending: Lending = field(default_factory=Lending)


def confirm(of: Subject, options: Options, tell: Callable[[str], None]) -> int:
    """Measure, judge, write; the exit code: 0 confirmed, 4 rejected, 5 inconclusive.

    raises: BadInput, SetupError; KeyboardInterrupt leaves every server stopped and every whole pair on disk
    """
    folder = options.out / of.spec.name / "confirmations" / of.path.stem
    names, rule = ", ".join(t.name for t in of.traffics), of.rule
    when = (
        "fixed before the first pair"
        if of.spec.measure == "live"
        else "asked of launches made before"
    )
    tell(f"{when}: {wording.title(rule.claim)} ({rule.claim}) must be better on main,")
    tell(f"and everything else may be worse by at most {rule.margins}, on {names}")
    tell(f"baseline {of.baseline}; winner {of.winner}")
    found = (
        _recorded(of, options, tell)
        if isinstance(of.spec.measure, Path)
        else _live(of, options, folder, tell)
    )
    verdict = publish(
        of, found, str(folder / journal.FILE) if of.spec.measure == "live" else str(of.spec.measure)
    )
    for line in _told(of, found, verdict):
        tell(line)
    return EXIT[verdict.status]


def _live(
    of: Subject, options: Options, folder: Path, tell: Callable[[str], None]
) -> journal.Journal:
    began_s = time.monotonic()
    with alone(folder) as reaped:
        for said in reaped:
            tell(said)
        made = bench(of.spec)
        device = made.device.identity
        _refuse_another(of, device, made.versions)
        timeout_s, lent_at = options.timeout_s, time.monotonic()
        with borrowed(of.spec, made, options.lending, tell) as made:
            if options.lending.max_outage_s is not None:
                began_s, timeout_s = (
                    lent_at,
                    min(timeout_s or math.inf, options.lending.left_s(lent_at)),
                )
            servers = of.servers(made.setting, made.device.server_env, asdict(made.versions))
            head = _head(of, servers, device)
            begun = journal.opened(
                folder, head, options.pairs, fresh=options.fresh, before=of.confirmations
            )
            journal.write(begun, folder)  # the claim is on disk before the first launch
            if begun.pairs:
                tell(
                    f"going on after {len(begun.of('aa'))} A/A and {len(begun.of('ab'))} pairs, in {folder}"
                )
            return Runner(of, made, folder, begun, tell, timeout_s, began_s).run()


def _recorded(of: Subject, options: Options, tell: Callable[[str], None]) -> journal.Journal:
    recording = read(Path(of.spec.measure))
    tell(
        f"from a recording, {recording.sentence()}: it says nothing of this machine and never applies"
    )
    p = recording.provenance
    head = _head(of, of.servers(setting_of(of.spec), {}, asdict(p.versions)), p.device)
    return from_recording(of, recording, head, options.pairs)


def _head(of: Subject, servers: Mapping[str, str], device: Identity) -> journal.Head:
    return journal.Head(
        promotion=of.digest,
        claim=of.rule.claim,
        margin_pct=of.rule.margins.pct,
        margins=of.rule.margins.by_metric,
        aa_pairs=of.rule.aa_pairs,
        workloads=of.workloads,
        servers=servers,
        product=device.product,
        total_mib=round(device.total_mib),
    )


def _refuse_another(of: Subject, device: Identity, versions: Versions) -> None:
    """Another product, or other servers than the study's, are another question."""
    then: Mapping[str, Any] = of.data.get("device") or {}
    total = then.get("total_mib")
    if not device.is_like(then.get("product"), total):
        raise BadInput(
            f"{of.path} was found on {then.get('product')} with {total} MiB, this is {device.product} "
            f"with {device.total_mib:.0f} MiB; run the study here first"
        )
    if of.data.get("versions") != asdict(versions):
        raise BadInput(
            f"{of.path} was found with other versions of the servers; run the study again with these"
        )


def _told(of: Subject, found: journal.Journal, verdict: Verdict) -> list[str]:
    """The answer in lines for a person."""
    is_capacity = of.rule.claim == "concurrent_capacity"
    resolution = gains.resolution_pct(found.of("ab"), of.rule.main) if is_capacity else None
    lines, unmeasured = [], []
    if verdict.pairs:
        lines = [
            "gains in percent of the baseline, positive is better:",
            *wording.table(verdict.findings),
        ]
        unmeasured = [str(f.key) for f in verdict.findings if f.standing == "not_measured"]
    if unmeasured:
        lines.append(f"not measured, so not judged: {', '.join(unmeasured)}")
    if (s := found.stress) is not None and s.free_memory_mib is not None:
        lines.append(f"least free memory under stress: {s.free_memory_mib:,.0f} MiB")
    lines += [
        f"open: {reason}" if verdict.status == "inconclusive" else reason
        for reason in verdict.reasons
    ]
    lines += [f"also better: {line}" for line in wording.further(verdict, of.rule)]
    where = "" if of.spec.measure == "live" else " (from a recording: never applicable)"
    return [
        *lines,
        wording.claim(verdict, of.rule, resolution),
        f"{wording.outcome(verdict)}{where}: {of.path}",
    ]
